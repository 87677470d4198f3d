#pragma once
// The time of whole steps, and of the nodes within one.
#include <functional>

#include "tools/bench/spread.h"
#include "tools/bench/workload.h"

namespace vkfer {

struct BenchOptions {
  int warmup = 3, repeats = 10;
  std::function<void(int done, int total)> progress = {};
};

struct StepBench {
  Spread milliseconds;               // of a step, by the host's clock
  Spread host_milliseconds;          // of it, what was not spent waiting for the device
  double first_milliseconds = 0;     // the first warm-up step: drivers compile in it
  double warmup_milliseconds = 0;    // all of them
};

StepBench bench_steps(Workload&, const BenchOptions&);

}  // namespace vkfer
