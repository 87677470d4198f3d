#pragma once
// The targets that a node is lowered for in the tests: every engine, texel loads on and off, workgroups and slices of
// unusual size, storage ranges so small that tensors are bound in slices, launches spread over two dimensions.
#include <string>
#include <vector>

#include "graph/plan.h"

namespace vkfer::test {

struct TestTarget {
  std::string name;
  Target target;
};

// The device's own target first. Targets whose launches equal an earlier one's are left out.
std::vector<TestTarget> distinct_targets(const Graph&, const Target& own);

}  // namespace vkfer::test
