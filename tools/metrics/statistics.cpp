#include "tools/metrics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace vkfer {

Statistics::Statistics() { mean = std = variance = min = max = std::numeric_limits<double>::quiet_NaN(); }

Statistics statistics(std::span<const double> values) {
  std::vector<double> known(values.begin(), values.end());
  std::erase_if(known, [](double v) { return std::isnan(v); });
  Statistics s;
  s.n = known.size();
  if (known.empty()) return s;
  double sum = 0, squares = 0;
  for (const double v : known) sum += v;
  s.mean = sum / double(s.n);
  for (const double v : known) squares += (v - s.mean) * (v - s.mean);
  if (s.n > 1) s.variance = squares / double(s.n - 1);
  s.std = std::sqrt(s.variance);
  const auto [least, most] = std::ranges::minmax(known);
  s.min = least, s.max = most;
  return s;
}

}  // namespace vkfer
