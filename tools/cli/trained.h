#pragma once
// Which trained network a verb is to use: a run, the newest run, or a model's name with a weight file.
#include <filesystem>

#include "graph/executor.h"
#include "models/weights/transfer.h"
#include "tools/cli/arguments.h"
#include "tools/train/run_folder.h"
#include "tools/train/saved_network.h"

namespace vkfer {

struct Trained {
  SavedNetwork saved;
  std::filesystem::path run;   // empty: from --weights
  TrainSettings settings;      // of the run; else the defaults
  Json config;                 // of the run

  // The plan's target: as the run had it, where the device is the same, so that figures repeat exactly.
  Target target_on(const Device&) const;
  // Of activations: --precision, or as the run had it.
  DType storage_on(const Device&, const Arguments&) const;
  // saved.network to be evaluated with: in that storage, and in batches of --batch, or as the run had them.
  NetworkSettings network_on(const Device&, const Arguments&) const;
};

// --run, a run folder in front of `positional` (taken away from it), --weights (with --model), or the newest run.
Trained open_trained(const Arguments&, std::vector<std::string>& positional);

}  // namespace vkfer
