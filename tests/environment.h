#pragma once
#include <cstdlib>
#include <string>

namespace vkfer::test {

// Sets an environment variable for one scope.
struct Environment {
  std::string name;
  std::string old;
  bool had;
  Environment(const char* variable, const char* value) : name(variable) {
    const char* before = std::getenv(variable);
    had = before;
    if (before) old = before;
    setenv(variable, value, 1);
  }
  ~Environment() { had ? setenv(name.c_str(), old.c_str(), 1) : unsetenv(name.c_str()); }
};

}  // namespace vkfer::test
