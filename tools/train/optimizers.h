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
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // adam, adamw
  double weight_decay = 0;    // applied to every parameter, as torch does
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

// Adds the optimizer's nodes for one parameter: afterwards the parameter and its optimizer states take their new values
// at the end of a run.
void add_optimizer(Graph&, const OptimizerDef&, const OptimizerSettings&, Value parameter, Value gradient, Value hyper);

}  // namespace vkfer
