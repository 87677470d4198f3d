// Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019. arXiv:1905.11946, table 1.
// Squeeze-excitation after Hu et al., 2018; stochastic depth after Huang et al., 2016. Layout, names and initial values as
// torchvision's efficientnet_b0.
#include <algorithm>

#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/layers.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

struct Stage {
  int expansion, kernel, stride, channels, count;
};
constexpr Stage kStages[] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
                             {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};
constexpr int kBlocks = 16;
constexpr double kStochasticDepth = 0.2;  // of the last block; earlier ones are dropped less, linearly
const std::string kInit = "kaiming_normal_fan_out";

// torchvision's Conv2dNormActivation: <name>.0 convolution, <name>.1 norm, <name>.2 SiLU
Value conv_norm(Layers& layers, const std::string& name, Value x, ConvSpec spec) {
  spec.pad = spec.kernel / 2;
  spec.init = kInit;
  x = layers.conv(name + ".0", x, spec);
  return layers.batch_norm(name + ".1", x);
}
Value conv_norm_silu(Layers& layers, const std::string& name, Value x, ConvSpec spec) {
  return layers.activation(ops::silu, name + ".2", conv_norm(layers, name, x, spec));
}

Value inverted_bottleneck(Layers& layers, const std::string& prefix, Value x, const Stage& stage, int stride, double drop) {
  const int in = int(layers.shape(x).c()), wide = in * stage.expansion;
  int index = 0;
  auto next = [&] { return prefix + "block." + std::to_string(index++); };
  Value y = x;
  if (stage.expansion != 1) y = conv_norm_silu(layers, next(), y, {.out = wide, .kernel = 1});
  y = conv_norm_silu(layers, next(), y, {.out = wide, .kernel = stage.kernel, .stride = stride, .groups = wide});
  y = layers.squeeze_excite(next(), y, std::max(1, in / 4), kInit);
  y = conv_norm(layers, next(), y, {.out = stage.channels, .kernel = 1});
  return stride == 1 && in == stage.channels ? layers.add_stochastic(prefix + "add", x, y, drop) : y;
}

Value backbone(Layers& layers, Value x) {
  layers.begin_block();
  x = conv_norm_silu(layers, "features.0", x, {.out = 32, .kernel = 3, .stride = 2});
  int feature = 1, block = 0;
  for (const Stage& stage : kStages) {
    layers.begin_block();
    for (int i = 0; i < stage.count; ++i, ++block)
      x = inverted_bottleneck(layers, fmt::format("features.{}.{}.", feature, i), x, stage, i == 0 ? stage.stride : 1,
                              kStochasticDepth * block / kBlocks);
    ++feature;
  }
  layers.begin_block();
  return conv_norm_silu(layers, fmt::format("features.{}", feature), x, {.out = 1280, .kernel = 1});
}

Value neck(Layers& layers, Value x) {
  x = layers.global_avg_pool("avgpool", x);
  return layers.dropout("classifier.0", x, layers.options().dropout);
}

}  // namespace

const ModelInfo efficientnet_b0 = {
    .name = "efficientnet_b0",
    .aliases = {"efficientnetb0"},
    .title = "EfficientNet-B0 (Tan and Le, 2019), torchvision layout",
    .default_size = 224,
    .default_dropout = 0.2,
    .preprocessing = preprocessing_from_name("imagenet"),
    .classifier = "classifier.1",
    .classifier_init = "uniform_fan_out",
    .classifier_bias_init = "zeros",
    .backbone = backbone,
    .neck = neck,
};

}  // namespace vkfer
