// Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018. arXiv:1801.04381, table 2, and width multipliers.
// Layout, names, padding and initial values as torchvision's mobilenet_v2.
#include <algorithm>

#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/inverted_residual.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr InvertedResidualRow kRows[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                         {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
const std::string kInit = "kaiming_normal_fan_out";

// torchvision: features.N.conv = [ConvBNReLU expand,] ConvBNReLU depthwise, Conv2d, BatchNorm2d
const InvertedResidualNames kFirst = {"", "", "conv.0.0", "conv.0.1", "conv.1", "conv.2"};
const InvertedResidualNames kNames = {"conv.0.0", "conv.0.1", "conv.1.0", "conv.1.1", "conv.2", "conv.3"};

// The paper's rule: the nearest multiple of eight that is not more than a tenth below.
int widened(int channels, double width) {
  const double wanted = channels * width;
  const int rounded = std::max(8, int(wanted + 4) / 8 * 8);
  return rounded < 0.9 * wanted ? rounded + 8 : rounded;
}

Value conv_norm_relu6(Layers& layers, const std::string& name, Value x, const ConvSpec& spec) {
  x = layers.conv(name + ".0", x, spec);
  x = layers.batch_norm(name + ".1", x);
  return layers.activation(ops::relu6, name + ".2", x);
}

Value backbone(Layers& layers, Value x, double width) {
  int index = 0;
  auto feature = [&] {
    layers.begin_block();
    return "features." + std::to_string(index++);
  };

  x = conv_norm_relu6(layers, feature(), x, {.out = widened(32, width), .kernel = 3, .stride = 2, .pad = 1, .init = kInit});
  for (const auto& row : kRows)
    for (int i = 0; i < row.count; ++i)
      x = inverted_residual(layers, feature() + ".", row.expansion == 1 ? kFirst : kNames, x,
                            {.expansion = row.expansion, .out = widened(row.channels, width), .stride = i == 0 ? row.stride : 1, .init = kInit});
  return conv_norm_relu6(layers, feature(), x, {.out = widened(1280, std::max(1.0, width)), .kernel = 1, .init = kInit});
}

Value neck(Layers& layers, Value x) {
  x = layers.global_avg_pool("pool", x);
  return layers.dropout("classifier.0", x, layers.options().dropout);
}

ModelInfo described(std::string name, std::vector<std::string> aliases, double width) {
  return {.name = std::move(name),
          .aliases = std::move(aliases),
          .title = fmt::format("MobileNetV2, width {} (Sandler et al., 2018), torchvision layout", width),
          .default_size = 224,
          .default_dropout = 0.2,
          .preprocessing = preprocessing_from_name("imagenet"),
          .classifier = "classifier.1",
          .classifier_init = "normal:0.01",
          .classifier_bias_init = "zeros",
          .backbone = [=](Layers& layers, Value x) { return backbone(layers, x, width); },
          .neck = neck};
}

}  // namespace

const ModelInfo mobilenet_v2 = described("mobilenetv2", {"mobilenet_v2", "mobilenetv2_100"}, 1.0);
const ModelInfo mobilenet_v2_035 = described("mobilenetv2_035", {"mobilenet_v2_035"}, 0.35);
const ModelInfo mobilenet_v2_050 = described("mobilenetv2_050", {"mobilenet_v2_050"}, 0.5);
const ModelInfo mobilenet_v2_075 = described("mobilenetv2_075", {"mobilenet_v2_075"}, 0.75);
const ModelInfo mobilenet_v2_140 = described("mobilenetv2_140", {"mobilenet_v2_140"}, 1.4);

}  // namespace vkfer
