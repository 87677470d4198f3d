#pragma once
// Where in a network's graph the things lie that analyses look at: found by the graph's structure, never by a model's name, so
// that networks from files have them too.
#include "graph/graph.h"

namespace vkfer {

// What Grad-CAM looks at: the last [n,h,w,c] value of the last convolution's height and width that everything on its way from
// `images` to `output` passes through. The last convolution is the last node with a filter whose result has more than one pixel; what
// follows at its size (norm, shortcut, activation, concatenation) belongs to it, a pool after it does not.
// Fails where there is none.
Value last_feature_map(const Graph&, Value images, Value output);

// The penultimate features: the [n,d] value that enters the last linear layer before `output`. Fails where there is none.
Value last_features(const Graph&, Value output);

}  // namespace vkfer
