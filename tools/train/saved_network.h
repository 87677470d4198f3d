#pragma once
// A network as it lies in model.safetensors: weights, and in the metadata all that is needed to use them.
#include <filesystem>
#include <string>
#include <vector>

#include "models/weights/weight_file.h"
#include "tools/train/settings.h"
#include "tools/train/step_graph.h"

namespace vkfer {

// Metadata "model", "head" (unless it is the model's own), "size", "channels", "classes" (in the order of the labels), "preprocessing", "padding" where it is
// not torch's, and "outputs" where there are more than classes. Nothing that differs
// between two equal runs: no time, path, device or run name.
void set_metadata(WeightFile&, const NetworkSettings&, const std::vector<std::string>& classes);

struct SavedNetwork {
  NetworkSettings network;           // batch and pixel_channels are the caller's to set
  std::vector<std::string> classes;  // empty: the file does not name them
  WeightFile weights;
};

// A file of ours, or one of another origin, of any of weight_formats(): then `model` is needed, and `size`, `channels` (0:
// the defaults). `classes` serves where the file has no classifier. Where the file says otherwise than an argument given,
// it fails.
SavedNetwork read_network(const std::filesystem::path&, const std::string& model = {}, int size = 0, int channels = 0, int classes = 0);

inline constexpr const char *kTorchPadding = "torch", *kSamePadding = "same";
bool is_same_padding(std::string_view name);  // fails for other names

// What the file does not say of itself: names of preprocessing_from_name() and of paddings; "" leaves what read_network chose.
void set_conventions(SavedNetwork&, const std::string& preprocessing, const std::string& padding);

// Training goes on as the weights it starts from were made: takes preprocessing and padding from settings.weights.
void follow_weights(TrainSettings&);

// The number of classes the file's classifier answers; 0 when it has none under that name.
int classifier_rows(const WeightFile&, const std::string& classifier);

}  // namespace vkfer
