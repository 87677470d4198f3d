#pragma once
// A trained network over samples of a data set: what `eval` does, and repeats and sweeps for their test figures.
#include <functional>
#include <string_view>

#include "graph/executor.h"
#include "tools/data/dataset.h"
#include "tools/metrics/scores.h"
#include "tools/train/evaluation.h"
#include "tools/train/saved_network.h"

namespace vkfer {

struct EvaluatedSamples {
  Evaluation evaluation;                   // of the pictures as they are
  Predictions predictions;                 // the mean over all views; rows in the order of `samples`
  std::vector<size_t> samples;             // of the data set: those that could be read
  size_t skipped = 0;                      // unreadable images, with skip_bad
};

struct SampleOptions {
  std::span<const int> label_map = {};     // as Evaluator::evaluate takes it; empty: the same labels
  bool skip_bad = false;
  std::string_view views = "none";         // see test_time_views()
  std::function<void(const char* what, size_t done, size_t total)> progress = {};
};

// Fails where a network answers inf or NaN: weights that are out of bounds, or too large for 16-bit activations.
void check_answers_finite(std::span<const float>);

// `network` is saved.network with a batch and a storage.
EvaluatedSamples evaluate_samples(Device&, const SavedNetwork& saved, NetworkSettings network, const Target&, const Dataset&, const std::vector<size_t>& samples,
                                  const SampleOptions&);

}  // namespace vkfer
