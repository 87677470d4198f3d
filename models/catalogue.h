#pragma once
// The models, one definition per file: the explicit list is in registry.cpp (a linker drops self-registration).
#include "models/registry.h"

namespace vkfer {

extern const ModelInfo mobilenet_v2, compact_resnet, compact_resnet_418k, compact_mobilenet_v2;

}  // namespace vkfer
