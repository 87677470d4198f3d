#pragma once
// What there is in a data set, and what is wrong with it.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tools/data/dataset.h"

namespace vkfer {

struct Inspection {
  std::map<std::string, std::vector<size_t>> counts;   // images by split and class; last: without a class
  std::map<std::string, size_t> sizes;                 // images by "48x48x1"
  std::vector<std::vector<size_t>> duplicates;         // indices of equal pictures, two or more
  std::vector<std::vector<size_t>> conflicts;          // of these, those with several classes
  std::vector<std::vector<size_t>> across_splits;      // of these, those in the training split and in another one
  std::vector<size_t> constant;                        // one colour throughout
  std::vector<std::string> unreadable;                 // the error of each, rows of the listing that skip_bad left out first
};

// Decodes every picture. Pictures are equal when all their pixels are.
Inspection inspect(const Dataset&, const std::function<void(size_t done, size_t total)>& progress = {});

const char* split_name(Split);

}  // namespace vkfer
