// He et al., Deep Residual Learning for Image Recognition, 2015. arXiv:1512.03385, table 1.
// resnet18, resnet34, resnet50: layout, names and initial values as torchvision's, whose bottlenecks stride at the 3x3 ("v1.5").
// resnet50_keras: as Keras' ResNet50, which strides at the first 1x1 as the paper does, and gives convolutions biases.
#include <array>

#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/layers.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr int kChannels[] = {64, 128, 256, 512};  // of the 3x3 convolutions of the four stages
using Blocks = std::array<int, 4>;                 // in each stage

// ---- torchvision ------------------------------------------------------------------------------------------------------

Value conv(Layers& layers, const std::string& name, Value x, int out, int kernel, int stride) {
  return layers.conv(name, x, {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .init = "kaiming_normal_fan_out"});
}

Value shortcut(Layers& layers, const std::string& prefix, Value x, int out, int stride) {
  if (stride == 1 && layers.shape(x).c() == out) return x;
  x = conv(layers, prefix + "downsample.0", x, out, 1, stride);
  return layers.batch_norm(prefix + "downsample.1", x);
}

Value basic_block(Layers& layers, const std::string& prefix, Value x, int channels, int stride) {
  Value y = conv(layers, prefix + "conv1", x, channels, 3, stride);
  y = layers.batch_norm(prefix + "bn1", y);
  y = layers.activation(ops::relu, prefix + "relu1", y);
  y = conv(layers, prefix + "conv2", y, channels, 3, 1);
  y = layers.batch_norm(prefix + "bn2", y);
  y = layers.add(prefix + "add", y, shortcut(layers, prefix, x, channels, stride));
  return layers.activation(ops::relu, prefix + "relu2", y);
}

Value bottleneck(Layers& layers, const std::string& prefix, Value x, int channels, int stride) {
  Value y = conv(layers, prefix + "conv1", x, channels, 1, 1);
  y = layers.batch_norm(prefix + "bn1", y);
  y = layers.activation(ops::relu, prefix + "relu1", y);
  y = conv(layers, prefix + "conv2", y, channels, 3, stride);
  y = layers.batch_norm(prefix + "bn2", y);
  y = layers.activation(ops::relu, prefix + "relu2", y);
  y = conv(layers, prefix + "conv3", y, 4 * channels, 1, 1);
  y = layers.batch_norm(prefix + "bn3", y);
  y = layers.add(prefix + "add", y, shortcut(layers, prefix, x, 4 * channels, stride));
  return layers.activation(ops::relu, prefix + "relu3", y);
}

using Block = Value(Layers&, const std::string& prefix, Value x, int channels, int stride);

Value backbone(Layers& layers, Value x, Block block, const Blocks& blocks) {
  layers.begin_block();
  x = conv(layers, "conv1", x, 64, 7, 2);
  x = layers.batch_norm("bn1", x);
  x = layers.activation(ops::relu, "relu", x);
  x = layers.max_pool("maxpool", x, 3, 2, 1);
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    layers.begin_block();
    for (int i = 0; i < blocks[stage]; ++i)
      x = block(layers, fmt::format("layer{}.{}.", stage + 1, i), x, kChannels[stage], i == 0 && stage > 0 ? 2 : 1);
  }
  return x;
}

Value neck(Layers& layers, Value x) { return layers.global_avg_pool("avgpool", x); }

ModelInfo described(std::string name, std::string title, Block block, Blocks blocks) {
  return {.name = std::move(name),
          .title = std::move(title) + " (He et al., 2015), torchvision layout",
          .default_size = 224,
          .preprocessing = preprocessing_from_name("imagenet"),
          .classifier = "fc",
          .backbone = [=](Layers& layers, Value x) { return backbone(layers, x, block, blocks); },
          .neck = neck};
}

// ---- Keras ----------------------------------------------------------------------------------------------------------------

constexpr BatchNormSpec kKerasNorm = {.eps = 1.001e-5, .momentum = 0.01};  // Keras calls this momentum 0.99

// <prefix>_<n>_conv, <prefix>_<n>_bn [, relu]
Value keras_layer(Layers& layers, const std::string& name, Value x, ConvSpec spec, bool relu) {
  spec.bias = true;
  spec.init = "glorot_uniform";
  spec.bias_init = "zeros";
  x = layers.conv(name + "_conv", x, spec);
  x = layers.batch_norm(name + "_bn", x, kKerasNorm);
  return relu ? layers.activation(ops::relu, name + "_relu", x) : x;
}

Value keras_bottleneck(Layers& layers, const std::string& name, Value x, int channels, int stride, bool first) {
  const Value short_cut = first ? keras_layer(layers, name + "_0", x, {.out = 4 * channels, .kernel = 1, .stride = stride}, false) : x;
  Value y = keras_layer(layers, name + "_1", x, {.out = channels, .kernel = 1, .stride = stride}, true);
  y = keras_layer(layers, name + "_2", y, {.out = channels, .kernel = 3, .pad = 1}, true);
  y = keras_layer(layers, name + "_3", y, {.out = 4 * channels, .kernel = 1}, false);
  y = layers.add(name + "_add", short_cut, y);
  return layers.activation(ops::relu, name + "_out", y);
}

Value keras_backbone(Layers& layers, Value x) {
  constexpr Blocks kBlocks = {3, 4, 6, 3};
  layers.begin_block();
  x = keras_layer(layers, "conv1", x, {.out = 64, .kernel = 7, .stride = 2, .pad = 3}, true);
  x = layers.max_pool("pool1_pool", x, 3, 2, 1);  // Keras pads with zeros, which change no maximum after a ReLU
  for (size_t stage = 0; stage < kBlocks.size(); ++stage) {
    layers.begin_block();
    for (int i = 0; i < kBlocks[stage]; ++i)
      x = keras_bottleneck(layers, fmt::format("conv{}_block{}", stage + 2, i + 1), x, kChannels[stage], i == 0 && stage > 0 ? 2 : 1, i == 0);
  }
  return x;
}

}  // namespace

const ModelInfo resnet18 = described("resnet18", "ResNet-18", basic_block, {2, 2, 2, 2});
const ModelInfo resnet34 = described("resnet34", "ResNet-34", basic_block, {3, 4, 6, 3});
const ModelInfo resnet50 = described("resnet50", "ResNet-50 v1.5", bottleneck, {3, 4, 6, 3});

const ModelInfo resnet50_keras = {
    .name = "resnet50_keras",
    .aliases = {"resnet50_v1"},
    .title = "ResNet-50 v1 (He et al., 2015), Keras' layout and names",
    .default_size = 224,
    .preprocessing = preprocessing_from_name("caffe"),
    .classifier = "predictions",
    .classifier_init = "glorot_uniform",
    .classifier_bias_init = "zeros",
    .backbone = keras_backbone,
    .neck = [](Layers& layers, Value x) { return layers.global_avg_pool("avg_pool", x); },
};

}  // namespace vkfer
