#pragma once
// One step of training as the host sees it: what goes to the device, and what comes back.
#include <span>

#include "graph/executor.h"
#include "tools/train/step_graph.h"

namespace vkfer {

struct StepInputs {
  std::span<const uint8_t> pixels;   // [n,s,s,c0]
  std::span<const int32_t> augment;  // [n,4]
  std::span<const int32_t> labels;   // [n]
  Hyper hyper{};
  uint64_t seed = 0;                 // with the index: what dropout draws from
  int64_t index = 0;                 // of the step, from 0
};

// Starts forward, backward and optimizer on a batch, behind the steps in flight. `step` is of training_graph().
void submit_training_step(Executor&, const StepGraph& step, const StepInputs&);

// The same, until it is done; the loss.
float run_training_step(Executor&, const StepGraph& step, const StepInputs&);

}  // namespace vkfer
