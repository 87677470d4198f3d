// A compact residual network for 48x48 faces: two blocks with a convolved shortcut, after He et al., Deep Residual Learning
// for Image Recognition, 2015 (arXiv:1512.03385), then two fully connected layers.
#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/layers.h"

namespace vkfer {
namespace {

// conv3x3+bias, norm, relu, conv3x3+bias, norm, + conv1x1+bias of the input, relu, max pool 2, dropout
Value residual_block(Layers& layers, const std::string& name, Value x, int out, double dropout) {
  Value y = layers.conv(name + ".conv1", x, {.out = out, .kernel = 3, .pad = 1, .bias = true});
  y = layers.batch_norm(name + ".bn1", y);
  y = layers.activation(ops::relu, name + ".relu1", y);
  y = layers.conv(name + ".conv2", y, {.out = out, .kernel = 3, .pad = 1, .bias = true});
  y = layers.batch_norm(name + ".bn2", y);
  Value shortcut = layers.conv(name + ".shortcut", x, {.out = out, .kernel = 1, .bias = true});
  y = layers.add(name + ".add", y, shortcut);
  y = layers.activation(ops::relu, name + ".relu2", y);
  y = layers.max_pool(name + ".pool", y, 2, 2);
  return layers.dropout(name + ".dropout", y, dropout);
}

Value neck(Layers& layers, Value x) {
  const Shape s = layers.shape(x);
  x = layers.flatten("flatten", x);
  x = layers.linear("fc1", x, 64, "conv_uniform", {}, {s.h(), s.w(), s.c()});
  x = layers.activation(ops::relu, "fc1.relu", x);
  return layers.dropout("fc1.dropout", x, layers.options().dropout);
}

ModelInfo described(std::string name, std::string title, int first, int second) {
  return {.name = std::move(name),
          .title = std::move(title),
          .default_size = 48,
          .default_dropout = 0.2,
          .preprocessing = preprocessing_from_name("half"),
          .classifier = "fc2",
          .backbone =
              [=](Layers& layers, Value x) {
                layers.begin_block();
                x = residual_block(layers, "block1", x, first, layers.options().dropout);
                layers.begin_block();
                return residual_block(layers, "block2", x, second, layers.options().dropout);
              },
          .neck = neck};
}

}  // namespace

const ModelInfo compact_resnet =
    described("compact_resnet", "compact ResNet for 48x48 faces, channels 24 and 48, 481,551 parameters", 24, 48);
const ModelInfo compact_resnet_418k =
    described("compact_resnet_418k", "compact ResNet for 48x48 faces, channels 22 and 42, 418,171 parameters", 22, 42);

}  // namespace vkfer
