#pragma once
// What a sweep tries: a recipe whose [sweep] names settings and their values.
//
//   [sweep]
//   monitor = "val_accuracy"     what decides on pruning, and on the table's order; default: the setting of that name
//   repeats = 1                  runs of each trial, by seed
//   trials = 20                  of a random search; of a grid or a list: only the first so many
//   seed = 1                     of the random draws
//   prune = "median"             or "none": see hopeless()
//   prune_after = 3              epochs of a trial before it may be given up
//   prune_trials = 3             finished trials to compare it with, at least
//
//   [sweep.grid]                 every combination; the last setting changes fastest
//   lr = [1e-2, 1e-3]
//
//   [sweep.random]               or: each trial draws every setting
//   lr = {log_uniform = [1e-5, 1e-2]}
//   dropout = {uniform = [0, 0.5]}
//   batch = {integer = [16, 64]}
//   optimizer = {choice = ["sgd", "adamw"]}
//
//   [[sweep.list]]               or: trials one by one
//   lr = 1e-2
//   optimizer = "sgd"
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/train/recipe.h"

namespace vkfer {

struct SweepPlan {
  Recipe recipe;
  std::string monitor;                     // "": the setting
  int repeats = 1;
  bool prune = true;
  int prune_after = 3, prune_trials = 3;
  std::vector<Json> trials;                // of each, its settings by name
  Json description() const;                // what decides on the trials, without how many there are
};

// `trials` and `repeats` of the command line; 0: as the recipe says.
SweepPlan plan_sweep(Recipe, int trials, int repeats);

// The median rule (Golovin et al., Google Vizier, 2017): is the best of `history`, a monitored figure by epoch, below the median of the
// best that `others`, the finished trials before it, had after as many epochs? Epochs and figures decide alone, so that a sweep that
// goes on prunes what one that was never interrupted does.
bool hopeless(const SweepPlan&, std::span<const double> history, std::span<const std::vector<double>> others);

}  // namespace vkfer
