#pragma once
// Weights as Keras writes them: .h5 of Keras 2 (a whole model, or weights only) and .weights.h5 of Keras 3, and .keras, which is a zip
// with such a file and config.json. Tensors come out under Keras' layers with torch's variables and in torch's order:
// "block_1_expand.weight" [co,ci,h,w], "bn_Conv1.running_mean"; names.cpp turns the layers into ours.
#include <cstddef>
#include <span>
#include <string>

#include "models/weights/weight_file.h"

namespace vkfer {

WeightFile parse_keras_h5(std::span<const std::byte>, const std::string& source);

bool looks_like_keras_zip(std::span<const std::byte>);
WeightFile parse_keras_zip(std::span<const std::byte>, const std::string& source);

// Metadata of a file whose config says it: "epsilon,momentum" of all its batch norms, as Keras has them.
inline constexpr const char* kKerasBatchNorm = "keras_batch_norm";

}  // namespace vkfer
