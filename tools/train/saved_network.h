#pragma once
// A network as it lies in model.safetensors: weights, and in the metadata all that is needed to use them.
#include <filesystem>
#include <string>
#include <vector>

#include "models/weights/weight_file.h"
#include "tools/train/settings.h"
#include "tools/train/step_graph.h"

namespace vkfer {

// Metadata "model", "size", "channels", "classes" (in the order of the labels), "preprocessing". Nothing that differs
// between two equal runs: no time, path, device or run name.
void set_metadata(WeightFile&, const NetworkSettings&, const std::vector<std::string>& classes);

struct SavedNetwork {
  NetworkSettings network;           // batch and pixel_channels are the caller's to set
  std::vector<std::string> classes;  // empty: the file does not name them
  WeightFile weights;
};

// A file of ours, or one of another origin: then `model` is needed, and `size`, `channels` (0: the defaults). Where the
// file says otherwise than an argument given, it fails.
SavedNetwork read_network(const std::filesystem::path&, const std::string& model = {}, int size = 0, int channels = 0);

// The number of classes the file's classifier answers; 0 when it has none under that name.
int classifier_rows(const WeightFile&, const ModelInfo&);

}  // namespace vkfer
