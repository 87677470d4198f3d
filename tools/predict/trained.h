#pragma once
// A trained network with all that is needed to use it as it was trained: a run, or a file of weights.
#include <filesystem>
#include <string>

#include "graph/executor.h"
#include "tools/train/run_folder.h"
#include "tools/train/saved_network.h"

namespace vkfer {

struct Trained {
  SavedNetwork saved;
  std::filesystem::path run;   // empty: from a file of weights
  TrainSettings settings;      // of the run; else the defaults
  Json config;                 // of the run

  // The plan's target: as the run had it, where the device is the same, so that figures repeat exactly.
  Target target_on(const Device&) const;
  // saved.network to be evaluated with: `precision` is fp32, fp16 or auto, "" as the run had it; in batches of `batch`, 0 as the run had it.
  NetworkSettings network_on(const Device&, const std::string& precision = {}, int batch = 0) const;
  // In the order of the probabilities. Where nobody named them: ImageNet's for 1000 classes, else "class 0", ...
  std::vector<std::string> class_names() const;
};

// Fails, saying how to go on, where no epoch is finished.
Trained open_run(const std::filesystem::path&, const NetworkHints& = {});
// Of any of weight_formats(), and ONNX.
Trained open_weights(const std::filesystem::path&, const NetworkHints& = {});

}  // namespace vkfer
