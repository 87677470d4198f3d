#pragma once
// Device results against the reference.
#include <string>
#include <vector>

#include "graph/tensor.h"

namespace vkfer::test {

struct DeviceTensor {
  std::vector<double> values;
  std::vector<std::byte> bits;  // as stored
};

// "" or the first difference, with its place.
std::string compare_exactly(const DeviceTensor&, const HostTensor& expected);

// Relative 2-norm of the difference within `error`, and no element further off than its own share: an error of
// |expected| plus 50 times the root mean square. Rounding errors are spread like a normal distribution, whose largest among
// millions is 5 times its spread; a factor of 10 remains for channels of unequal size. A wrong index is off by the whole
// root mean square: 1 / (50 * error) times the bound.
std::string compare_within(const DeviceTensor&, const HostTensor& expected, double error);

// Sums that cancel leave the rounding of their terms: differences below this are no error.
inline constexpr double kRounding = 1e-6;

}  // namespace vkfer::test
