#pragma once
// A trained network over samples of a data set: what `eval` does, and repeats and sweeps for their test figures.
#include <functional>

#include "graph/executor.h"
#include "tools/data/dataset.h"
#include "tools/train/evaluation.h"
#include "tools/train/saved_network.h"

namespace vkfer {

struct EvaluatedSamples {
  Evaluation evaluation;
  size_t skipped = 0;                      // unreadable images, with skip_bad
};

// `network` is saved.network with a batch and a storage. label_map as Evaluator::evaluate takes it; empty: the same labels.
EvaluatedSamples evaluate_samples(Device&, const SavedNetwork& saved, NetworkSettings network, const Target&, const Dataset&, const std::vector<size_t>& samples,
                                  std::span<const int> label_map, bool skip_bad, const std::function<void(const char* what, size_t done, size_t total)>& progress);

}  // namespace vkfer
