#pragma once
// All that the report shows of one run, as JSON.
#include <filesystem>
#include <functional>

#include "graph/executor.h"
#include "tools/data/dataset.h"
#include "tools/train/checkpoint.h"
#include "tools/train/saved_network.h"

namespace vkfer {

struct ReportedRun {
  std::string name;
  const SavedNetwork* saved = nullptr;
  NetworkSettings network;               // saved->network with a batch and a storage
  Target target;
  std::vector<std::string> classes;
  Json config;                           // of the run; null: a weight file
  std::vector<EpochRecord> history;      // empty: a weight file
  int best_epoch = 0;
};

struct ReportOptions {
  std::string split = "test";
  bool skip_bad = false;
  int resamples = 1000;
  uint64_t seed = 1;
  size_t worst = 24, sample = 40, cams = 24;  // pictures
  size_t points = 1000;                  // of the feature space, evenly over the split
  std::function<void(const char* what, size_t done, size_t total)> progress = {};
};

// Evaluates the run on the split; fails naming what is wrong with the data.
Json run_report(Device&, const ReportedRun&, const Dataset&, std::span<const int> label_map, const ReportOptions&);

// The history and best epoch of a run, from its newest sound checkpoint; nothing is changed, whoever writes the run.
void read_history(const std::filesystem::path& run, ReportedRun&);

}  // namespace vkfer
