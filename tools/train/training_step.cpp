#include "tools/train/training_step.h"

namespace vkfer {

void submit_training_step(Executor& executor, const StepGraph& step, const StepInputs& in) {
  executor.write(step.pixels, in.pixels);
  executor.write(step.augment, in.augment);
  executor.write(step.labels, in.labels);
  executor.write(step.hyper, std::span<const float>(in.hyper));
  if (step.step) {
    const auto low = [](uint64_t v) { return int32_t(uint32_t(v)); };
    const auto index = uint64_t(in.index);
    const std::array<int32_t, 4> words{low(in.seed), low(in.seed >> 32), low(index), low(index >> 32)};
    executor.write(step.step, std::span<const int32_t>(words));
  }
  executor.submit();
}

float run_training_step(Executor& executor, const StepGraph& step, const StepInputs& in) {
  submit_training_step(executor, step, in);
  executor.drain();
  return executor.read_scalar(step.loss);
}

}  // namespace vkfer
