#pragma once
// Initial parameters. Each state's values depend on its name, its shape, the rule in StateInfo::init and the seed alone
// (counter-based Philox), so they are the same on every platform and whatever else the model holds.
#include <cstdint>
#include <string>
#include <vector>

#include "graph/executor.h"
#include "graph/graph.h"

namespace vkfer {

// In device layout. Rules (StateInfo::init), with fan_in and fan_out counted as torch.nn.init does:
//   zeros | ones
//   kaiming_normal_fan_out   N(0, sqrt(2 / fan_out))
//   kaiming_uniform_fan_in, he_uniform   U(+-sqrt(6 / fan_in))
//   conv_uniform             U(+-1 / sqrt(fan_in)): torch's default for Conv2d and Linear weights
//   uniform_fan_out          U(+-1 / sqrt(fan_out))
//   bias_uniform:<fan_in>    U(+-1 / sqrt(fan_in)): torch's default for their biases
//   normal:<std>             N(0, std)
//   glorot_uniform           U(+-sqrt(6 / (fan_in + fan_out)))
std::vector<float> initial_value(const std::string& name, const ValueInfo&, uint64_t seed);

// Writes every state of the graph.
void initialise(const Graph&, States&, uint64_t seed);

}  // namespace vkfer
