#pragma once
// Runs any graph on the CPU in double through each op's reference(): the definition everything else is held to.
#include <map>

#include "graph/op.h"

namespace vkfer {

// Values of every value id after running all nodes; `given` holds the inputs and states by value id.
std::map<int, HostTensor> run_reference(const Graph&, std::map<int, HostTensor> given);

}  // namespace vkfer
