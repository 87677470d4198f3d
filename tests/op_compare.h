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
// |expected| plus 50 times the root mean square. Rounding errors are spread like a normal distribution, whose largest
// among millions is 5 times its spread; a factor of 10 remains for channels of unequal size. A wrong index is off by
// the whole root mean square: 1 / (50 * error) times the bound. `largest_input` is the node's: sums that cancel leave
// the rounding of their terms, so 1e-7 of it is no error.
std::string compare_within(const DeviceTensor&, const HostTensor& expected, double error, double largest_input);

}  // namespace vkfer::test
