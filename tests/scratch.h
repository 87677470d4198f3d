#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

namespace vkfer::test {

// A folder of its own, gone at the end.
struct Scratch {
  std::filesystem::path path;
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "vkfer-test-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  Scratch(const Scratch&) = delete;
};

}  // namespace vkfer::test
