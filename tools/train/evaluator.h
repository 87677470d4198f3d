#pragma once
// Runs a network over pictures without changing it: validation while training, `eval` and `infer`.
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "graph/executor.h"
#include "tools/data/cache.h"
#include "tools/metrics/scores.h"
#include "tools/train/evaluation.h"
#include "tools/train/step_graph.h"
#include "tools/train/views.h"

namespace vkfer {

struct EvaluatedBatch;

struct Answers {
  std::vector<float> probabilities;     // [n,k]; empty for networks without classes
  std::vector<float> valence, arousal;  // [n]; empty for networks without such outputs
};

// What a network says of images, one row each, in the order of the cache.
struct PredictedRows {
  Predictions predictions;
  std::vector<size_t> positions;        // [n] in the cache; without those that could not be read
};

class Evaluator {
 public:
  // Uses the parameters in `states`; the same settings, target and device give the same bits.
  Evaluator(Device&, States&, const NetworkSettings&, const Target&);

  const Graph& graph() const { return executor_->graph(); }
  const Plan& plan() const { return executor_->plan(); }
  Executor& executor() { return *executor_; }  // for profiles

  // All of `cache`, in its order. label_map[label of the data] is the network's class; empty: the same.
  // `progress(done)` counts images and answers whether to go on; std::nullopt when it said no.
  // `rows`: also what it says of each image, appended; the images as `view` shows them.
  std::optional<Evaluation> evaluate(const DecodedCache& cache, std::span<const int> label_map = {},
                                     const std::function<bool(size_t done)>& progress = {}, PredictedRows* rows = nullptr, const View& view = {});

  // For n pictures of [s,s,c0], any n.
  Answers answers(std::span<const uint8_t> pixels);

 private:
  void append_rows(PredictedRows&, const EvaluatedBatch&);
  void start_batch(std::span<const uint8_t> pixels, const EvaluatedBatch&);  // behind the batches in flight
  bool has_classes() const { return bool(step_.labels); }
  bool has_affect() const { return bool(step_.valence.prediction); }

  States& states_;
  NetworkSettings settings_;
  StepGraph step_;  // its graph has moved into executor_; the values stay valid
  std::unique_ptr<Executor> executor_;
};

}  // namespace vkfer
