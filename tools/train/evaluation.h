#pragma once
// What a pass over a split gives: the sums from which every figure is computed.
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/metrics/classification.h"
#include "tools/metrics/continuous.h"
#include "tools/metrics/scores.h"

namespace vkfer {

using Json = nlohmann::ordered_json;

// Valence or arousal, over the images where it is known.
struct Affect {
  double count = 0, squared_error = 0;  // sums
  ContinuousMetrics metrics;            // of evaluations; empty for training's own pass
  double mse() const { return count > 0 ? squared_error / count : 0; }
};

// Predictions beside what is known of the truth.
struct Compared {
  std::vector<double> predictions, truths;
  void append(std::span<const float> predicted, std::span<const float> known);   // NaN: not known
  Affect affect() const;
};

struct Evaluation {
  Confusion confusion;                     // of 0 classes where the network has none
  double loss_sum = 0;                     // of the classes
  int64_t count = 0;                       // images with a class
  std::optional<Affect> valence, arousal;  // of networks with such outputs
  double loss() const;                     // of all outputs together
  double ccc() const;                      // the mean of valence's and arousal's; NaN where one is undefined
  bool has_classes() const { return confusion.classes > 0; }
  int64_t images() const;                  // with a class; where none has one, with valence or arousal

  // From the state that ops::classification_sums fills: confusion, count, loss sum. Without classes there is none.
  static Evaluation of_sums(int classes, std::span<const float> sums);
  // What rows say, as the sums of a pass would: averages of several passes have none of their own.
  static Evaluation of_predictions(const Predictions&);
  // From the state that ops::squared_error_sums fills.
  static Affect affect_of_sums(std::span<const float> sums) { return {sums[0], sums[1], {}}; }
  // As it goes into checkpoints.
  Json to_json() const;
  static Evaluation from_json(const Json&);
  friend bool operator==(const Evaluation& a, const Evaluation& b) { return a.to_json() == b.to_json(); }
};

// rmse, mae, r2, pearson, sagr, ccc and count; null where undefined.
Json metrics_json(const ContinuousMetrics&);

// accuracy, macro_f1, loss, per_class, confusion, count and the rest: the answer of `eval --json`. Figures of classes are absent where
// the network has none, and null where no image has one.
Json report_json(const Evaluation&, const std::vector<std::string>& classes);

}  // namespace vkfer
