#pragma once
// What a training step is made of, planned but not yet on a device: the batch at once, or in equal pieces whose gradients are
// summed before the optimizer's step (micro-batches).
#include "graph/plan.h"
#include "tools/train/step_graph.h"

namespace vkfer {

struct StepPlan {
  NetworkSettings network;         // of one piece: its batch, and sum_gradients where there are several
  int pieces = 1;
  StepGraph step, optimizer;       // optimizer: only with several pieces
  Plan step_plan, optimizer_plan;
  bool mixes_images = false;       // some layer looks at the whole batch, so that pieces give other results than the whole

  size_t activation_bytes() const { return step_plan.arena_bytes() + optimizer_plan.arena_bytes(); }
  size_t state_bytes() const;      // of both graphs, shared ones once
  std::string signature() const;   // as Plan::signature
  Target target() const;           // with the tuning that was used
};

// `network` has the whole batch, which `pieces` must divide.
StepPlan plan_step(const NetworkSettings& network, int pieces, const OptimizerDef&, const OptimizerSettings&, const Target&);

}  // namespace vkfer
