// A compact MobileNetV2 for 48x48 faces, after Sandler et al., MobileNetV2, 2018 (arXiv:1801.04381): stride 1 at the stem,
// six blocks, 128 features. Names as its published FER2013 checkpoint has them.
#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/inverted_residual.h"

namespace vkfer {
namespace {

constexpr InvertedResidualRow kRows[] = {{1, 16, 1, 1}, {6, 24, 1, 1}, {6, 32, 2, 2}, {6, 64, 1, 2}, {6, 96, 1, 1}};
const std::string kInit = "conv_uniform";

// block = Sequential([Conv2d, BatchNorm2d, ReLU6 expand,] Conv2d, BatchNorm2d, ReLU6 depthwise, Conv2d, BatchNorm2d)
const InvertedResidualNames kFirst = {"", "", "0", "1", "3", "4"};
const InvertedResidualNames kNames = {"0", "1", "3", "4", "6", "7"};

Value backbone(Layers& layers, Value x) {
  layers.begin_block();
  x = layers.conv("init_conv.0", x, {.out = 32, .kernel = 3, .pad = 1, .init = kInit});
  x = layers.batch_norm("init_conv.1", x);
  x = layers.activation(ops::relu6, "init_conv.2", x);

  int index = 0;
  for (const auto& row : kRows)
    for (int i = 0; i < row.count; ++i) {
      layers.begin_block();
      x = inverted_residual(layers, "bottlenecks." + std::to_string(index++) + ".block.",
                            row.expansion == 1 ? kFirst : kNames, x,
                            {.expansion = row.expansion, .out = row.channels, .stride = i == 0 ? row.stride : 1, .init = kInit});
    }

  layers.begin_block();
  x = layers.conv("last_conv.0", x, {.out = 128, .kernel = 1, .init = kInit});
  x = layers.batch_norm("last_conv.1", x);
  return layers.activation(ops::relu6, "last_conv.2", x);
}

Value neck(Layers& layers, Value x) {
  x = layers.dropout("dropout", x, layers.options().dropout);
  return layers.global_avg_pool("pool", x);
}

}  // namespace

const ModelInfo compact_mobilenet_v2 = {
    .name = "compact_mobilenetv2",
    .aliases = {"compact_mobilenet_v2"},
    .title = "compact MobileNetV2 for 48x48 faces, 132,935 parameters",
    .default_size = 48,
    .default_dropout = 0.2,
    .preprocessing = preprocessing_from_name("half"),
    .classifier = "classifier",
    .backbone = backbone,
    .neck = neck,
};

}  // namespace vkfer
