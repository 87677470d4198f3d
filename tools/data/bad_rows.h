#pragma once
// What to do with a bad row or file: fail, or leave it out and count it.
#include <string>
#include <vector>

#include "runtime/error.h"

namespace vkfer {

class BadRows {
 public:
  BadRows(bool skip, std::string_view where) : skip_(skip), where_(where) {}

  // Throws, or counts when bad rows are to be skipped.
  void report(const std::string& message) {
    if (!skip_) fail(where_, "{}", message);
    if (count_++ == 0) first_ = message;
  }
  void add_warning(std::vector<std::string>& warnings) const {
    if (count_) warnings.push_back(fmt::format("{} bad rows left out; the first: {}", count_, first_));
  }

 private:
  bool skip_;
  std::string where_, first_;
  size_t count_ = 0;
};

}  // namespace vkfer
