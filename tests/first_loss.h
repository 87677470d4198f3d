#pragma once
// What a training's first step says.
#include <cmath>

#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tools/train/training.h"

namespace vkfer::test {

inline double first_loss(const Dataset& data, const TrainSettings& s) {
  const Scratch scratch;
  double loss = NAN;
  TrainHooks hooks;
  hooks.step = [&](const StepReport& r) { loss = r.step == 1 ? r.loss : loss; };
  hooks.stop = [&] { return !std::isnan(loss); };
  Training training(test_device(), data, s, {}, hooks);
  RunFolder folder = RunFolder::create(scratch.path / "run");
  training.run(folder);
  return loss;
}

}  // namespace vkfer::test
