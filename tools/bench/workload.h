#pragma once
// A network at work on synthetic noise, step after step, with everything that training or evaluation does for a step.
#include <memory>

#include "graph/executor.h"
#include "tools/train/step_graph.h"

namespace vkfer {

class Workload {
 public:
  virtual ~Workload() = default;
  virtual void step() = 0;              // blocks until its result is on the host
  virtual Executor& executor() = 0;
};

// `pieces`: see plan_step().
// Training: uploads the batch, forward, backward, optimizer, and reads the loss.
// Inference: uploads the batch, runs, and reads the probabilities.
std::unique_ptr<Workload> training_workload(Device&, const NetworkSettings&, const OptimizerDef&, const OptimizerSettings&, const Target&,
                                            int pieces = 1);
std::unique_ptr<Workload> inference_workload(Device&, const NetworkSettings&, const Target&);

}  // namespace vkfer
