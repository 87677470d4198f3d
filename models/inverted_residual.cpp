#include "models/inverted_residual.h"

#include "graph/ops/ops.h"

namespace vkfer {

Value inverted_residual(Layers& layers, const std::string& prefix, const InvertedResidualNames& names, Value x,
                        const InvertedResidualSpec& spec) {
  const int in = int(layers.graph().shape(x).c());
  Value y = x;
  if (spec.expansion != 1) {
    y = layers.conv(prefix + names.expand, y, {.out = in * spec.expansion, .kernel = 1, .init = spec.init});
    y = layers.batch_norm(prefix + names.expand_norm, y);
    y = layers.activation(ops::relu6, prefix + names.expand_norm + ".relu6", y);
  }
  y = layers.depthwise(prefix + names.depthwise, y, {.kernel = 3, .stride = spec.stride, .pad = 1, .init = spec.init});
  y = layers.batch_norm(prefix + names.depthwise_norm, y);
  y = layers.activation(ops::relu6, prefix + names.depthwise_norm + ".relu6", y);
  y = layers.conv(prefix + names.project, y, {.out = spec.out, .kernel = 1, .init = spec.init});
  y = layers.batch_norm(prefix + names.project_norm, y);  // linear bottleneck: no activation
  if (spec.stride == 1 && in == spec.out) y = layers.add(prefix + "add", x, y);
  return y;
}

}  // namespace vkfer
