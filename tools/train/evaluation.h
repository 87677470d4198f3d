#pragma once
// What a pass over a split gives: the sums from which every figure is computed.
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "tools/metrics/classification.h"

namespace vkfer {

using Json = nlohmann::ordered_json;

struct Evaluation {
  Confusion confusion;
  double loss_sum = 0;
  int64_t count = 0;
  double loss() const { return count ? loss_sum / double(count) : 0; }

  // From the state that ops::classification_sums fills: confusion, count, loss sum.
  static Evaluation of_sums(int classes, std::span<const float> sums);
  // As it goes into checkpoints.
  Json to_json() const;
  static Evaluation from_json(const Json&);
  friend bool operator==(const Evaluation&, const Evaluation&) = default;
};

// accuracy, macro_f1, loss, per_class, confusion, count and the rest: the answer of `eval --json`.
Json report_json(const Evaluation&, const std::vector<std::string>& classes);

}  // namespace vkfer
