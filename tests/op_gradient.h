#pragma once
// The first proof of an op, without a device: its gradient nodes, run by their references in double, equal finite
// differences of its own reference.
#include <string>

#include "graph/op.h"

namespace vkfer::test {

// "" or what is wrong. Every element of small inputs is moved, a sample of large ones, and all of them at once.
std::string check_gradient(const OpDef&, const Case&, std::string_view seed);

}  // namespace vkfer::test
