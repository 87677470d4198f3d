#pragma once
// Weights between a file in torch's order (convolutions [co,ci/groups,r,s], linear [out,in]) and a graph's states.
#include <string>
#include <vector>

#include "graph/executor.h"
#include "graph/graph.h"
#include "models/weights/weight_file.h"

namespace vkfer {

// The shape a state has in torch's state_dict.
std::vector<int64_t> torch_shape(const ValueInfo&);
// Reorders elements; both take and return shape.elements() values.
std::vector<float> to_torch(const ValueInfo&, std::span<const float> device);
std::vector<float> from_torch(const ValueInfo&, std::span<const float> torch);

// Writes every parameter and running statistic of the graph (states of `graph` whose name starts with none of
// `ignored_prefixes`) from the file. Missing, unexpected and mis-shaped tensors are listed in one Error, each with the
// nearest name; "num_batches_tracked" may be absent or present. `classifier` names the last layer, for a hint when only its
// class count differs.
struct LoadOptions {
  std::string classifier;
  std::vector<std::string> ignored_prefixes = {"optimizer.", "metrics.", "loss_scale"};  // states of training, not of the network
  bool skip_classifier = false;   // transfer learning: leave the classifier's states as they are
};
void load_weights(const WeightFile&, const Graph&, States&, const LoadOptions& = {});

// The same states into a file as torch's load_state_dict(strict=True) takes them: running statistics bring an int64
// num_batches_tracked of 0.
void export_weights(const Graph&, States&, WeightFile& to, const LoadOptions& = {});

}  // namespace vkfer
