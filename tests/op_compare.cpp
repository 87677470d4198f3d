#include "tests/op_compare.h"

#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tests/op_data.h"

namespace vkfer::test {

namespace {

constexpr double kRounding = 1e-7;

// "[1,0,2,3]"
std::string place(const Shape& shape, size_t index) {
  std::string text;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    text = fmt::format("{}{}{}", int64_t(index) % shape[d], text.empty() ? "" : ",", text);
    index /= size_t(shape[d]);
  }
  return fmt::format("[{}] of {}", text, shape.to_string());
}

}  // namespace

std::string compare_exactly(const DeviceTensor& got, const HostTensor& expected) {
  size_t wrong = 0, first = 0;
  for (size_t i = expected.data.size(); i-- > 0;)
    if (!(got.values[i] == expected[i])) ++wrong, first = i;
  if (!wrong) return "";
  return fmt::format("{} of {} elements differ, the first at {}: got {}, expected {}", wrong, expected.data.size(),
                     place(expected.shape, first), got.values[first], expected[first]);
}

std::string compare_within(const DeviceTensor& got, const HostTensor& expected, double error, double largest_input) {
  const double floor = kRounding * largest_input, count = std::max<double>(1, double(expected.data.size()));
  const double size = norm(expected), rms = size / std::sqrt(count);
  double sum = 0, worst_excess = -1e300;
  size_t worst = 0;
  bool nan = false;
  for (size_t i = 0; i < expected.data.size() && !nan; ++i) {
    const double difference = std::abs(got.values[i] - expected[i]);
    nan = !(difference <= 1e300);
    sum += difference * difference;
    const double excess = difference - (error * (50 * rms + std::abs(expected[i])) + 5 * floor);
    if (excess > worst_excess || nan) worst_excess = excess, worst = i;
  }
  const double allowed = error * size + floor * std::sqrt(count);
  if (!nan && std::sqrt(sum) <= allowed && worst_excess <= 0) return "";
  return fmt::format("error {:.3g} of norm {:.3g}, allowed {:.3g}; at {}: got {}, expected {}, rms {:.3g}",
                     std::sqrt(sum), size, allowed, place(expected.shape, worst), got.values[worst], expected[worst],
                     rms);
}

}  // namespace vkfer::test
