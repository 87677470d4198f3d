#include "tools/bench/workload.h"

#include <cmath>

#include "models/init.h"
#include "runtime/error.h"
#include "tools/train/evaluator.h"
#include "tools/train/stepper.h"

namespace vkfer {
namespace {

constexpr uint64_t kSeed = 1;
constexpr double kRate = 1e-4;  // small: noise teaches nothing, and the numbers shall stay ordinary ones

std::vector<uint8_t> noise_pixels(const NetworkSettings& n) {
  std::vector<uint8_t> pixels(size_t(n.batch) * size_t(n.size) * size_t(n.size) * size_t(n.pixel_channels));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t((i * 2654435761u) >> 13);
  return pixels;
}

class TrainingWorkload : public Workload {
 public:
  TrainingWorkload(Device& device, const NetworkSettings& n, int pieces, const OptimizerDef& optimizer, const OptimizerSettings& settings,
                   const Target& target)
      : optimizer_(optimizer), settings_(settings), states_(device), stepper_(device, states_, plan_step(n, pieces, optimizer, settings, target)),
        pixels_(noise_pixels(n)), augment_(size_t(n.batch) * 4, 0) {
    for (int i = 0; i < n.batch; ++i) labels_.push_back(i % n.classes);
    initialise(stepper_.graph(), states_, kSeed);
  }

  void step() override {
    const double loss = stepper_.run({pixels_, augment_, labels_, optimizer_.hyper(settings_, kRate, index_ + 1), kSeed, index_});
    if (stepper_.scales_loss()) states_.read(kLossScaleCounts);  // the trainer asks whether the step was skipped
    if (!std::isfinite(loss)) fail("bench", "the loss is {} at step {}: the times would be those of other numbers", loss, index_ + 1);
    ++index_;
  }

  Executor& executor() override { return stepper_.executor(); }

 private:
  const OptimizerDef& optimizer_;
  const OptimizerSettings settings_;
  States states_;
  Stepper stepper_;
  std::vector<uint8_t> pixels_;
  std::vector<int32_t> augment_, labels_;
  int64_t index_ = 0;
};

class InferenceWorkload : public Workload {
 public:
  InferenceWorkload(Device& device, const NetworkSettings& n, const Target& target)
      : states_(device), evaluator_(device, states_, n, target), pixels_(noise_pixels(n)) {
    initialise(evaluator_.graph(), states_, kSeed);
  }
  void step() override { evaluator_.answers(pixels_); }
  Executor& executor() override { return evaluator_.executor(); }

 private:
  States states_;
  Evaluator evaluator_;
  std::vector<uint8_t> pixels_;
};

}  // namespace

std::unique_ptr<Workload> training_workload(Device& device, const NetworkSettings& n, const OptimizerDef& optimizer, const OptimizerSettings& settings,
                                            const Target& target, int pieces) {
  return std::make_unique<TrainingWorkload>(device, n, pieces, optimizer, settings, target);
}

std::unique_ptr<Workload> inference_workload(Device& device, const NetworkSettings& n, const Target& target) {
  return std::make_unique<InferenceWorkload>(device, n, target);
}

}  // namespace vkfer
