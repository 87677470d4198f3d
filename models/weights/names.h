#pragma once
// Other people's names for our tensors: prefixes that wrappers leave behind, timm's and Keras' names where they differ from
// torchvision's, and what weights of such an origin expect of the network around them. Tables; which of them a file follows
// is seen from its names.
#include <optional>
#include <string>

#include "models/registry.h"
#include "models/weights/weight_file.h"

namespace vkfer {

// Where it is not as the model itself has it.
struct WeightConventions {
  std::optional<Preprocessing> preprocessing;
  bool same_padding = false;                  // see ModelOptions, both
  BatchNormChoice batch_norm;
  std::string reversed_stem;                  // the filter that takes the channels as B, G, R when preprocessing is "caffe"; "": none
};

// Gives the file's tensors the names that `model` with this head (see models/head.h) has, where a table knows them; leaves the
// others alone. Notes what it did. Fails when two tensors would get one name.
WeightConventions adopt_names(WeightFile&, const ModelInfo& model, const std::string& head = {});

// Turns the channels of a filter [co,3,r,s] around; leaves others as they are. Twice is not at all.
void reverse_channels(WeightTensor&);

}  // namespace vkfer
