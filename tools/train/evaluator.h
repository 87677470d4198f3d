#pragma once
// Runs a network over pictures without changing it: validation while training, `eval` and `infer`.
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "graph/executor.h"
#include "tools/data/cache.h"
#include "tools/train/evaluation.h"
#include "tools/train/step_graph.h"

namespace vkfer {

class Evaluator {
 public:
  // Uses the parameters in `states`; the same settings, target and device give the same bits.
  Evaluator(Device&, States&, const NetworkSettings&, const Target&);

  const Graph& graph() const { return executor_->graph(); }
  const Plan& plan() const { return executor_->plan(); }
  Executor& executor() { return *executor_; }  // for profiles

  // All of `cache`, in its order. label_map[label of the data] is the network's class; empty: the same.
  // `progress(done)` counts images and answers whether to go on; std::nullopt when it said no.
  std::optional<Evaluation> evaluate(const DecodedCache& cache, std::span<const int> label_map = {},
                                     const std::function<bool(size_t done)>& progress = {});

  // [n,k] for n pictures of [s,s,c0], any n.
  std::vector<float> probabilities(std::span<const uint8_t> pixels);

 private:
  // Behind the batches in flight.
  void start_batch(std::span<const uint8_t> pixels, std::span<const int32_t> labels);

  States& states_;
  NetworkSettings settings_;
  StepGraph step_;  // its graph has moved into executor_; the values stay valid
  std::unique_ptr<Executor> executor_;
};

}  // namespace vkfer
