// Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018. arXiv:1801.04381, table 2.
// Layout, names, padding and initial values as torchvision's mobilenet_v2.
#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/inverted_residual.h"

namespace vkfer {
namespace {

constexpr InvertedResidualRow kRows[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                         {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
const std::string kInit = "kaiming_normal_fan_out";

// torchvision: features.N.conv = [ConvBNReLU expand,] ConvBNReLU depthwise, Conv2d, BatchNorm2d
const InvertedResidualNames kFirst = {"", "", "conv.0.0", "conv.0.1", "conv.1", "conv.2"};
const InvertedResidualNames kNames = {"conv.0.0", "conv.0.1", "conv.1.0", "conv.1.1", "conv.2", "conv.3"};

Value conv_norm_relu6(Layers& layers, const std::string& name, Value x, const ConvSpec& spec) {
  x = layers.conv(name + ".0", x, spec);
  x = layers.batch_norm(name + ".1", x);
  return layers.activation(ops::relu6, name + ".2", x);
}

BuiltModel build(Graph& graph, Value images, Value step, const ModelOptions& options) {
  Layers layers(graph, options, step);
  int index = 0;
  auto feature = [&] { return "features." + std::to_string(index++); };

  Value x = layers.begin(images);
  x = conv_norm_relu6(layers, feature(), x, {.out = 32, .kernel = 3, .stride = 2, .pad = 1, .init = kInit});
  for (const auto& row : kRows)
    for (int i = 0; i < row.count; ++i)
      x = inverted_residual(layers, feature() + ".", row.expansion == 1 ? kFirst : kNames, x,
                            {.expansion = row.expansion, .out = row.channels, .stride = i == 0 ? row.stride : 1, .init = kInit});
  x = conv_norm_relu6(layers, feature(), x, {.out = 1280, .kernel = 1, .init = kInit});

  x = layers.global_avg_pool("pool", x);
  x = layers.dropout("classifier.0", x, options.dropout);
  Value logits = layers.linear("classifier.1", x, options.classes, "normal:0.01", "zeros");
  return {.images = images, .logits = logits, .step = layers.used_step() ? step : Value{}, .feature_label = "pool"};
}

}  // namespace

const ModelInfo mobilenet_v2 = {
    .name = "mobilenetv2",
    .aliases = {"mobilenet_v2"},
    .title = "MobileNetV2 1.0 (Sandler et al., 2018), torchvision layout",
    .default_size = 224,
    .default_dropout = 0.2,
    .preprocessing = preprocessing_from_name("imagenet"),
    .classifier = "classifier.1",
    .head = {"classifier."},
    .build = build,
};

}  // namespace vkfer
