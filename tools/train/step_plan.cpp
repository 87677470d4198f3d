#include "tools/train/step_plan.h"

#include <algorithm>

#include "runtime/error.h"

namespace vkfer {

size_t StepPlan::state_bytes() const {
  size_t bytes = step_plan.state_bytes;
  for (const Value v : optimizer.graph.states())
    if (!step.graph.find(optimizer.graph.info(v).name)) bytes += optimizer.graph.desc(v).bytes();
  return bytes;
}

std::string StepPlan::signature() const {
  return pieces == 1 ? step_plan.signature() : step_plan.signature() + "+" + optimizer_plan.signature();
}

Target StepPlan::target() const {
  Target used = step_plan.target;
  used.tuning.insert(optimizer_plan.target.tuning.begin(), optimizer_plan.target.tuning.end());
  return used;
}

StepPlan plan_step(const NetworkSettings& network, int pieces, const OptimizerDef& optimizer, const OptimizerSettings& settings, const Target& target) {
  if (pieces < 1 || network.batch % pieces != 0)
    fail("--micro-batch", "a batch of {} cannot be cut into {} equal pieces. Fix: choose a size that divides it", network.batch, pieces);
  StepPlan p;
  p.network = network;
  p.network.batch = network.batch / pieces;
  p.network.sum_gradients = pieces > 1;
  p.pieces = pieces;
  p.step = training_graph(p.network, optimizer, settings);
  p.step_plan = make_plan(p.step.graph, target);
  p.mixes_images = std::ranges::any_of(p.step.graph.nodes(), [](const Node& n) { return n.op->mixes_images; });
  if (pieces == 1) return p;
  p.optimizer = optimizer_graph(p.network, p.step, optimizer, settings);
  p.optimizer_plan = make_plan(p.optimizer.graph, target);
  return p;
}

}  // namespace vkfer
