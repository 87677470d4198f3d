#pragma once
// Runs training steps: what goes to the device for one, and what comes back. Two may be on their way, so that the host prepares
// the next while the device computes.
#include <deque>
#include <memory>
#include <span>

#include "graph/executor.h"
#include "tools/train/step_plan.h"

namespace vkfer {

struct StepInputs {
  std::span<const uint8_t> pixels;   // [n,s,s,c0]
  std::span<const int32_t> augment;  // [n,4]
  std::span<const int32_t> labels;   // [n]; negative: none
  Hyper hyper{};
  uint64_t seed = 0;                 // with the index: what dropout draws from
  int64_t index = 0;                 // of the step, from 0
  std::span<const float> warp = {};  // [n,20]; networks with warp
  double ema_decay = 0;              // of this step; networks with averages
  std::span<const float> valence = {}, arousal = {};  // [n], NaN: unknown; empty for networks without them
  std::span<const float> weights = {};                // [n], of the images in the losses of valence and arousal; empty: 1 each
  std::span<const uint8_t> partner_pixels = {};       // networks that mix: as pixels, augment and warp
  std::span<const int32_t> partner_augment = {};
  std::span<const float> partner_warp = {}, share = {};  // share [n,s,s,1]
  std::span<const float> targets = {};                // [n,k]; networks with soft targets
  float target_scale = 0;
  std::span<const Hyper> joined_hyper = {};           // as StepGraph::joined_hyper
};

// What is known of a batch: [n], NaN where it is not. weights as in StepInputs.
void write_targets(Executor&, const Regression&, std::span<const float> values, std::span<const float> weights = {});

class Stepper {
 public:
  Stepper(Device&, States&, StepPlan);

  void set_class_weights(const std::vector<float>&);  // by class; all 1 before; soft targets have them in themselves
  // Starts forward, backward and optimizer on a batch, behind the step on its way; fails when two are.
  void submit(const StepInputs&);
  double finish();                    // waits for the oldest; the loss of its batch
  double run(const StepInputs& in) {  // both
    submit(in);
    return finish();
  }
  size_t on_the_way() const { return steps_; }

  const StepPlan& plan() const { return plan_; }           // its graphs have moved away
  const Graph& graph() const { return executor_->graph(); }  // of a piece
  Executor& executor() { return *executor_; }              // of a piece: for profiles
  HostTime host_time() const;
  bool scales_loss() const { return bool(plan_.step.loss_scale); }

 private:
  void submit_piece(const StepInputs&, int piece);
  void finish_piece();

  StepPlan plan_;
  std::vector<float> class_weights_;
  std::unique_ptr<Executor> executor_, optimizer_;  // optimizer_: with several pieces
  size_t steps_ = 0;
  std::deque<double> losses_;          // of pieces that are done, weighted
};

}  // namespace vkfer
