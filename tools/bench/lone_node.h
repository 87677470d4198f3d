#pragma once
// One problem alone on the device, filled with noise: to be timed, and to be compared between its candidates.
#include <memory>

#include "graph/executor.h"
#include "graph/problem.h"

namespace vkfer {

class LoneNode {
 public:
  // Throws an Error where the device cannot run it so. `guarded`: canaries behind every value and workspace.
  LoneNode(Device&, const Problem&, const Target&, bool guarded = false);

  // Tensors get noise in -1..1, vectors (a value a channel) 0.5..1.5, integers and pixels zeros. Equal for equal problems.
  void fill();
  static constexpr double kLargest = 1.5;
  void run() { executor_->run(); }
  // Milliseconds of each of `repeats` runs: by the device's timestamps, else by the host's clock.
  std::vector<double> time(int repeats);
  bool by_timestamps() const { return by_timestamps_; }

  std::vector<float> output(int index);                  // of an f32 or f16 output
  int outputs() const { return int(executor_->graph().nodes()[0].out.size()); }
  const PlannedNode& planned() const { return executor_->plan().nodes[0]; }
  const Graph& graph() const { return executor_->graph(); }
  void poison() { executor_->poison(); }                 // before fill(); with `guarded`, check_guards() after run()
  std::string check_guards() { return executor_->check_guards(); }

 private:
  std::unique_ptr<States> states_;
  std::unique_ptr<Executor> executor_;
  bool by_timestamps_ = false;
};

}  // namespace vkfer
