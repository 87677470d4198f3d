#pragma once
// Training within so many bytes of device memory. What changes no result is tried alone: activations that are computed again, then
// micro-batches, where no layer looks at the whole batch.
#include <string_view>

#include "tools/train/step_plan.h"

namespace vkfer {

// "2G", "1.5GiB", "512M", "800000000": bytes; K, M and G are powers of 1024. Fails naming --memory-budget.
size_t parse_bytes(std::string_view);

// What training takes at most: activations of the step and of validation, states, and what the host hands over.
size_t training_bytes(const StepPlan&, const Target&);

// The step with the least extra work that keeps to the budget. `pieces` 0: as few as that takes; else exactly so many.
// Fails saying what was needed and what would help.
StepPlan plan_step_within(size_t budget, const NetworkSettings&, int pieces, const OptimizerDef&, const OptimizerSettings&, const Target&);

}  // namespace vkfer
