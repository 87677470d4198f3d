#pragma once
// A sweep's trials as a table, best first.
#include <map>
#include <string>
#include <vector>

#include "tools/metrics/statistics.h"
#include "tools/train/sweep_store.h"

namespace vkfer {

struct SweepRow {
  const SweptTrial* trial = nullptr;
  RunStatus status = RunStatus::waiting;
  size_t runs = 0;                                   // with figures
  std::map<std::string, Statistics> figures;         // over the repeats: "val_accuracy", "test_f1_happy", ...
};

bool less_is_better(std::string_view figure);        // losses and errors

// Sorted by the mean of `figure`; then those without it, by number. Fails for a figure that no trial has, unless there are none at all.
std::vector<SweepRow> sweep_rows(const std::vector<SweptTrial>&, int repeats, const std::string& figure);

std::string settings_text(const Json& settings);     // "lr 0.001, optimizer sgd"
std::string sweep_csv(const std::vector<SweepRow>&);
Json sweep_json(const std::vector<SweepRow>&);

}  // namespace vkfer
