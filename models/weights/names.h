#pragma once
// Other people's names for our tensors: prefixes that wrappers leave behind, and timm's names where they differ from
// torchvision's. Tables; which of them a file follows is seen from its names.
#include <string>

#include "models/registry.h"
#include "models/weights/weight_file.h"

namespace vkfer {

// Gives the file's tensors the names that `model` has, where a table knows them; leaves the others alone. Notes what it
// did. Fails when two tensors would get one name.
void adopt_names(WeightFile&, const ModelInfo& model);

}  // namespace vkfer
