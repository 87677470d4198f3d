// Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014. arXiv:1409.1556, table 1,
// columns D and E; with batch norm after Ioffe and Szegedy, 2015. Layout, names and initial values as torchvision's.
#include <array>

#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/layers.h"

namespace vkfer {
namespace {

constexpr int kChannels[] = {64, 128, 256, 512, 512};  // of the five blocks, each ending in a max pool
using Convolutions = std::array<int, 5>;                // in each block

// torchvision: features = Sequential of Conv2d, [BatchNorm2d,] ReLU, and MaxPool2d at the end of a block.
Value backbone(Layers& layers, Value x, const Convolutions& convolutions, bool norm) {
  int index = 0;
  auto feature = [&] { return "features." + std::to_string(index++); };
  for (size_t block = 0; block < convolutions.size(); ++block) {
    layers.begin_block();
    for (int i = 0; i < convolutions[block]; ++i) {
      x = layers.conv(feature(), x, {.out = kChannels[block], .kernel = 3, .pad = 1, .bias = true, .init = "kaiming_normal_fan_out", .bias_init = "zeros"});
      if (norm) x = layers.batch_norm(feature(), x);
      x = layers.activation(ops::relu, feature(), x);
    }
    x = layers.max_pool(feature(), x, 2, 2);
  }
  return x;
}

Value neck(Layers& layers, Value x) {
  x = layers.adaptive_avg_pool("avgpool", x, 7);
  const Shape map = {7, 7, layers.shape(x).c()};
  x = layers.flatten("flatten", x);
  x = layers.linear("classifier.0", x, 4096, "normal:0.01", "zeros", map);
  x = layers.activation(ops::relu, "classifier.1", x);
  x = layers.dropout("classifier.2", x, layers.options().dropout);
  x = layers.linear("classifier.3", x, 4096, "normal:0.01", "zeros");
  x = layers.activation(ops::relu, "classifier.4", x);
  return layers.dropout("classifier.5", x, layers.options().dropout);
}

ModelInfo described(std::string name, std::string title, Convolutions convolutions, bool norm) {
  return {.name = std::move(name),
          .title = std::move(title) + " (Simonyan and Zisserman, 2014), torchvision layout",
          .default_size = 224,
          .smallest_size = 32,  // five halvings
          .default_dropout = 0.5,
          .preprocessing = preprocessing_from_name("imagenet"),
          .classifier = "classifier.6",
          .classifier_init = "normal:0.01",
          .classifier_bias_init = "zeros",
          .backbone = [=](Layers& layers, Value x) { return backbone(layers, x, convolutions, norm); },
          .neck = neck};
}

}  // namespace

const ModelInfo vgg16 = described("vgg16", "VGG16", {2, 2, 3, 3, 3}, false);
const ModelInfo vgg19 = described("vgg19", "VGG19", {2, 2, 4, 4, 4}, false);
const ModelInfo vgg16_bn = described("vgg16_bn", "VGG16 with batch norm", {2, 2, 3, 3, 3}, true);
const ModelInfo vgg19_bn = described("vgg19_bn", "VGG19 with batch norm", {2, 2, 4, 4, 4}, true);

}  // namespace vkfer
