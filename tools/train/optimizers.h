#pragma once
// The optimizers by name. An optimizer is one op, the states it keeps per parameter and the numbers it takes each step.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.h"

namespace vkfer {

struct OptimizerSettings {
  double momentum = 0.9;      // sgd
  bool nesterov = false;      // sgd
  double beta1 = 0.9, beta2 = 0.999;  // adam, adamw
  bool keras_epsilon = false;         // 1e-7, before the bias correction, as Keras has it; not: 1e-8 after it, as torch
  double weight_decay = 0;    // applied to every parameter, as torch does
  double clip_norm = 0;       // the norm of all gradients together is kept below; 0: it is not
  bool ema = false;           // averages of the parameters are kept, see kAverage
};

using Hyper = std::array<float, 8>;  // see ops::sgd, ops::adam

struct OptimizerDef {
  std::string_view name;
  std::string_view title;
  const OpDef* op;                          // (parameter, gradient, states..., hyper) -> new parameter, new states...
  std::vector<std::string_view> states;     // "optimizer.<parameter>.<state>"
  double default_lr, default_weight_decay;
  Attrs (*attrs)(const OptimizerSettings&);
  Hyper (*hyper)(const OptimizerSettings&, double lr, int64_t step);  // step counts from 1
};

std::span<const OptimizerDef> optimizers();
const OptimizerDef& find_optimizer(std::string_view name);  // fails listing them and the nearest

// A parameter to be trained, and what the step's learning rate and weight decay are multiplied by for it.
struct TrainedParameter {
  Value parameter, gradient;
  double rate_factor = 1, decay_factor = 1;
  int joined = 0;   // the phase of training from which on it is trained: whose steps Adam counts for it
};

// What gradients are divided by, and whether the step counts; invalid values without loss scaling and clipping.
struct LossScaling {
  Value scale;      // [1]
  Value nonfinite;  // [1]: not 0 when the step must change nothing; invalid: it never is
};

// Groups as parameters are packed: neighbours that joined together, up to a moderate size. A large one is alone.
std::vector<std::vector<TrainedParameter>> packed_groups(const Graph&, std::span<const TrainedParameter>);

// Adds the optimizer's node for a group of parameters: afterwards they and their optimizer states take their new values at the
// end of a run. Returns the parameters' new values.
std::vector<Value> add_optimizer(Graph&, const OptimizerDef&, const OptimizerSettings&, std::span<const TrainedParameter>, Value hyper, const LossScaling& = {});

}  // namespace vkfer
