#pragma once
// A figure of several runs.
#include <cstddef>
#include <span>

namespace vkfer {

// NaN where undefined: everything without a value, std and variance with one. Values that are NaN are left out of all and of n.
struct Statistics {
  size_t n = 0;
  double mean, std, variance, min, max;  // of a sample: the squared deviations are divided by n - 1
  Statistics();
};

Statistics statistics(std::span<const double> values);

}  // namespace vkfer
