#include "tools/bench/step_bench.h"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace vkfer {

StepBench bench_steps(Workload& work, const BenchOptions& options) {
  const int warmup = std::max(options.warmup, 1), repeats = std::max(options.repeats, 1);
  std::vector<double> all, host;
  for (int i = 0; i < warmup + repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work.step();
    all.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    host.push_back(all.back() - work.executor().waited_milliseconds());
    if (options.progress) options.progress(i + 1, warmup + repeats);
  }
  const auto measured = [&](const std::vector<double>& v) { return spread_of({v.begin() + warmup, v.end()}); };
  return {measured(all), measured(host), all.front(), std::accumulate(all.begin(), all.begin() + warmup, 0.0)};
}

}  // namespace vkfer
