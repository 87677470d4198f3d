#pragma once
// The block of MobileNetV2 (Sandler et al., 2018): 1x1 expand, 3x3 depthwise, 1x1 project, and a shortcut where the shapes agree.
#include "models/layers.h"

namespace vkfer {

// How a network names the seven layers of a block below its own prefix; `expand` is unused at expansion 1.
struct InvertedResidualNames {
  std::string expand, expand_norm, depthwise, depthwise_norm, project, project_norm;
};

struct InvertedResidualSpec {
  int expansion = 6, out = 0, stride = 1;
  std::string init;
};

Value inverted_residual(Layers&, const std::string& prefix, const InvertedResidualNames&, Value x, const InvertedResidualSpec&);

// One row of the paper's table: `count` blocks, the first with `stride`.
struct InvertedResidualRow {
  int expansion, channels, count, stride;
};

}  // namespace vkfer
