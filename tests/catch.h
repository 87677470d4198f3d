#pragma once
// Catch2 version 2 (Debian 12) and version 3 (later) behind one header: include this, never catch2/*.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>  // has Approx in the global namespace
#endif

#include <string>

// CHECK_THROWS_WITH(expression, contains("part of the message"))
inline auto contains(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Contains(part);
#endif
}
