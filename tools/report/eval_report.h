#pragma once
// All figures of one pass over a split, and the files that they go into.
#include <filesystem>

#include "tools/data/dataset.h"
#include "tools/metrics/scores.h"
#include "tools/train/evaluation.h"

namespace vkfer {

// `classes` may be empty; rows of predictions are those of `samples`.
struct EvalReport {
  Evaluation evaluation;
  Predictions predictions;
  std::vector<size_t> samples;        // of the data set
  std::vector<std::string> classes;
  std::vector<Score> scores;
  int resamples = 0;                  // that the intervals are of; 0: there are none
};

// {"accuracy": {"value": .., "low": .., "high": ..}, .., "per_class": {class: {..}}, "valence": {..}}; null: undefined.
Json scores_json(const EvalReport&);
// figure,of,value,low,high; empty where undefined.
void write_scores(const std::filesystem::path&, const EvalReport&);
// image,label,prediction and a probability for each class; valence and arousal, true and predicted, where there are such.
void write_predictions(const std::filesystem::path&, const EvalReport&, const Dataset&);

}  // namespace vkfer
