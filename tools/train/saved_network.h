#pragma once
// A network as it lies in model.safetensors: weights, and in the metadata all that is needed to use them.
#include <filesystem>
#include <string>
#include <vector>

#include "models/weights/weight_file.h"
#include "tools/train/settings.h"
#include "tools/train/step_graph.h"

namespace vkfer {

// Metadata "model", "head" (unless it is the model's own), "size", "channels", "classes" (in the order of the labels), "preprocessing", "padding" and
// "batch_norm" where they are not torch's and the model's own, and "outputs" where there are others than classes. Nothing that differs
// between two equal runs: no time, path, device or run name.
void set_metadata(WeightFile&, const NetworkSettings&, const std::vector<std::string>& classes);

struct SavedNetwork {
  NetworkSettings network;           // batch and pixel_channels are the caller's to set
  std::string reversed_stem;         // see WeightConventions
  bool stem_is_reversed = false;     // as it is in `weights` now
  std::vector<std::string> classes;  // empty: the file does not name them
  WeightFile weights;
};

// What a file may not say of itself. Where it says otherwise than what is given here, reading it fails.
struct NetworkHints {
  std::string model, head;                  // "": the file knows; its own head
  int size = 0, channels = 0;               // 0: the defaults
  int classes = 0;                          // where the file has no classifier
  bool classifier_may_be_absent = false;    // then SavedNetwork::network.classes is 0
};

// A file of ours, or one of another origin, of any of weight_formats(): then `model` is needed. A `head` that does not fit the
// file is left out: SavedNetwork::network.head says which the file has.
SavedNetwork read_network(const std::filesystem::path&, const NetworkHints& = {});

inline constexpr const char *kTorchPadding = "torch", *kSamePadding = "same";
bool is_same_padding(std::string_view name);  // fails for other names

// What the file does not say of itself: names of preprocessing_from_name() and of paddings, and batch_norm_from_text(); "" leaves
// what read_network chose.
void set_conventions(SavedNetwork&, const std::string& preprocessing, const std::string& padding, const std::string& batch_norm = {});

// Training goes on as the weights it starts from were made: takes preprocessing, padding and batch norm from settings.weights, unless
// the settings name another preprocessing. Then returns what a person has to hear of that; else "".
std::string follow_weights(TrainSettings&);

// The number of classes the file's classifier answers; 0 when it has none under that name.
int classifier_rows(const WeightFile&, const std::string& classifier);

}  // namespace vkfer
