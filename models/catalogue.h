#pragma once
// The models, one definition per file: the explicit list is in registry.cpp (a linker drops self-registration).
#include "models/registry.h"

namespace vkfer {

extern const ModelInfo mobilenet_v2, mobilenet_v2_035, mobilenet_v2_050, mobilenet_v2_075, mobilenet_v2_140;
extern const ModelInfo efficientnet_b0;
extern const ModelInfo resnet18, resnet34, resnet50, resnet50_keras;
extern const ModelInfo vgg16, vgg16_bn, vgg19, vgg19_bn;
extern const ModelInfo compact_resnet, compact_resnet_418k, compact_mobilenet_v2;

}  // namespace vkfer
