#pragma once
// One training with several seeds: a folder of runs, and what their figures come to.
//
//   repeats.json    the settings, the runs that are finished with their figures, and the statistics: written after every run
//   repeats.csv     a row a figure: mean, std, variance, min, max, and a column for each seed
//   seed-1/ ...     the runs
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tools/metrics/statistics.h"
#include "tools/train/figures.h"
#include "tools/train/settings.h"

namespace vkfer {

struct RepeatedRun {
  uint64_t seed = 0;
  int best_epoch = 0, epochs = 0;
  std::map<std::string, Figures> figures;  // by split: train and val of the best epoch, test where the data has one
};

struct Repeats {
  TrainSettings settings;                  // of the first run; seeds count up from its
  Json recipe;                             // as in config.json; null without one
  int count = 0;
  std::vector<RepeatedRun> runs;           // the finished ones, by seed

  uint64_t seed(int i) const { return settings.seed + uint64_t(i); }
  std::filesystem::path folder(int i) const { return "seed-" + std::to_string(seed(i)); }
  TrainSettings settings_of(int i) const;
  bool finished() const { return runs.size() == size_t(count); }
};

struct FigureStatistics {
  std::string split, name;
  Statistics statistics;
  std::vector<double> values;              // by run
};
std::vector<FigureStatistics> statistics_of(const std::vector<RepeatedRun>&);

Json repeats_json(const Repeats&);
std::string repeats_csv(const Repeats&);

bool is_repeats(const std::filesystem::path& folder);
Repeats read_repeats(const std::filesystem::path& folder);              // fails naming what is wrong
void write_repeats(const std::filesystem::path& folder, const Repeats&);

}  // namespace vkfer
