#pragma once
// What a pass over a split gives: the sums from which every figure is computed.
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/metrics/classification.h"
#include "tools/metrics/continuous.h"

namespace vkfer {

using Json = nlohmann::ordered_json;

// Valence or arousal, over the images where it is known.
struct Affect {
  double count = 0, squared_error = 0;  // sums
  ContinuousMetrics metrics;            // of evaluations; empty for training's own pass
  double mse() const { return count > 0 ? squared_error / count : 0; }
};

struct Evaluation {
  Confusion confusion;
  double loss_sum = 0;                     // of the classes
  int64_t count = 0;                       // images with a class
  std::optional<Affect> valence, arousal;  // of networks with such outputs
  double loss() const;                     // of all outputs together

  // From the state that ops::classification_sums fills: confusion, count, loss sum.
  static Evaluation of_sums(int classes, std::span<const float> sums);
  // From the state that ops::squared_error_sums fills.
  static Affect affect_of_sums(std::span<const float> sums) { return {sums[0], sums[1], {}}; }
  // As it goes into checkpoints.
  Json to_json() const;
  static Evaluation from_json(const Json&);
  friend bool operator==(const Evaluation& a, const Evaluation& b) { return a.to_json() == b.to_json(); }
};

// rmse, mae, r2, pearson, sagr, ccc and count; null where undefined.
Json metrics_json(const ContinuousMetrics&);

// accuracy, macro_f1, loss, per_class, confusion, count and the rest: the answer of `eval --json`.
Json report_json(const Evaluation&, const std::vector<std::string>& classes);

}  // namespace vkfer
