#pragma once
// What to do with a bad row or file: fail, or leave it out and say so.
#include <string>
#include <vector>

#include "runtime/error.h"
#include "tools/data/dataset.h"

namespace vkfer {

class BadRows {
 public:
  BadRows(bool skip, std::string_view where) : skip_(skip), where_(where) {}

  // Throws, or keeps the message when bad rows are to be skipped.
  void report(const std::string& message) {
    if (!skip_) fail(where_, "{}", message);
    messages_.push_back(message);
  }
  void hand_over(DatasetContents& contents) {
    if (!messages_.empty()) contents.warnings.push_back(fmt::format("{} bad rows left out; the first: {}", messages_.size(), messages_[0]));
    contents.bad_rows = std::move(messages_);
  }

 private:
  bool skip_;
  std::string where_;
  std::vector<std::string> messages_;
};

}  // namespace vkfer
