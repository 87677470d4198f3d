#pragma once
// Repeated measurements of one thing in five numbers: the median, the quartiles, the extremes.
#include <vector>

#include "tools/train/settings.h"

namespace vkfer {

struct Spread {
  double median = 0, q1 = 0, q3 = 0, min = 0, max = 0;
  int repeats = 0;
};

Spread spread_of(std::vector<double> samples);   // at least one; quartiles interpolate between neighbours
Json spread_json(const Spread&);                 // without the median

}  // namespace vkfer
