#include "tools/bench/spread.h"

#include <algorithm>
#include <cassert>

namespace vkfer {

Spread spread_of(std::vector<double> samples) {
  assert(!samples.empty());
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double fraction) {
    const double position = fraction * double(samples.size() - 1);
    const size_t below = size_t(position), above = std::min(below + 1, samples.size() - 1);
    return samples[below] + (samples[above] - samples[below]) * (position - double(below));
  };
  return {at(0.5), at(0.25), at(0.75), samples.front(), samples.back(), int(samples.size())};
}

Json spread_json(const Spread& s) {
  return {{"q1", s.q1}, {"q3", s.q3}, {"min", s.min}, {"max", s.max}, {"repeats", s.repeats}};
}

}  // namespace vkfer
