#pragma once
// Weights between a file in torch's order (convolutions [co,ci/groups,r,s], linear [out,in]) and a graph's states.
#include <map>
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

// The first filters of a network for another number of input channels. A gray picture, its channels being equal, gets the
// same answer: sum turns 3 channels into 1, replicate 1 into 3 (each a third).
enum class StemChannels { as_stored, sum, replicate };

// Writes every parameter and running statistic of the graph (states of `graph` whose name starts with none of
// `ignored_prefixes`) from the file. Missing, unexpected and mis-shaped tensors are listed in one Error, each with the
// nearest name; "num_batches_tracked" may be absent or present. `classifier` names the last layer, for a hint when only its
// class count differs.
struct LoadOptions {
  std::string classifier;
  std::vector<std::string> ignored_prefixes = {"optimizer.", "metrics.", "loss_scale", "gradient_sum.", "ema."};  // states of training, not of the network
  std::vector<std::string> only;  // not empty: these states, and no others; what else is in the file is not looked at
  bool skip_classifier = false;   // transfer learning: leave the classifier's states as they are
  bool partial = false;           // take what fits, and list the rest instead of failing
  StemChannels stem = StemChannels::as_stored;
};
void load_weights(const WeightFile&, const Graph&, States&, const LoadOptions& = {});

// What load_weights would write, by state and in torch's order, and what partial loading left aside.
struct FittedWeights {
  std::map<std::string, std::vector<float>> values;
  std::vector<std::string> missing, unexpected, misshaped, adapted;  // for people: names with shapes or the nearest name
};
FittedWeights fit_weights(const WeightFile&, const Graph&, const LoadOptions& = {});

// The same states into a file as torch's load_state_dict(strict=True) takes them: running statistics bring an int64
// num_batches_tracked of 0.
void export_weights(const Graph&, States&, WeightFile& to, const LoadOptions& = {});

// The same from weights that were fitted; states without any get their initial values.
void export_weights(const Graph&, const FittedWeights&, uint64_t seed, WeightFile& to);

}  // namespace vkfer
