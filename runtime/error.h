#pragma once
// One error type for the whole program: "[where] what: got X, expected Y. Fix: Z".
//
// fail()        bad input or wrong usage (a file, an argument, a graph): exit status 2
// fail_device() the Vulkan device or its driver failed:                  exit status 3
// Anything else that escapes main() is a bug of ours:                    exit status 1
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace vkfer {

enum class ErrorKind { bad_input = 2, device = 3 };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string_view where, std::string_view what)
      : std::runtime_error(fmt::format("[{}] {}", where, what)), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <class... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::bad_input, where, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_device(std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::device, where, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vkfer
