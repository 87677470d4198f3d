#pragma once
// Heads: from a backbone's feature map to class logits and, where asked for, valence and arousal. A head is named, or composed:
//
//   gap,dense256,dropout0.5          global average pool, 256 units with ReLU, dropout, then a linear layer for each output
//   dense512x3                       the same pool, three layers of 512 units
//   gmp                              global maximum pool, then the outputs
//   gap,dense512/dense128            after the slash: layers that every output has for itself
//   flatten,bn,dense32,bn,relu       batch norm, and an activation of one's own choice
//
// Words: gap gmp flatten; denseN, denseNxM for M of them; dropout (0.5) or dropoutP; bn; relu relu6 silu sigmoid hardswish linear.
// A dense layer is followed by ReLU unless a bn or an activation (`linear`: none) stands after it. Without a pool or a flatten
// the head begins with gap.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace vkfer {

class Layers;

struct HeadLayer {
  enum class Kind : uint8_t { gap, gmp, flatten, dense, dropout, norm, activation } kind;
  int units = 0;                     // dense
  double p = 0;                      // dropout
  const OpDef* function = nullptr;   // activation
};

struct HeadSpec {
  std::vector<HeadLayer> trunk;      // from the feature map to [n,k]
  std::vector<HeadLayer> branch;     // of each output, before its last layer
};

struct NamedHead {
  std::string_view name, composition, title;
};
std::span<const NamedHead> named_heads();   // beside "default", the network's own

// "" and "default": the network's own. Otherwise `parse_head` understands it.
bool is_default_head(std::string_view text);
HeadSpec parse_head(std::string_view text);  // a name or a composition; fails naming the word and the nearest known one

// What lies between trunk and outputs: [n,k], and the [h,w,c] that k still is where a flatten was the last to reorder it.
struct HeadFeatures {
  Value value;
  Shape flattened;
};

// Layers are called head.<i>, i counting the words and the ReLUs that they imply, as nn.Sequential would; those of an output
// alone head.<output>_branch.<i>; the last ones head.<output>, where outputs are classes, valence and arousal. Dense layers
// start as He's uniform.
HeadFeatures head_trunk(Layers&, const HeadSpec&, Value map);
Value head_output(Layers&, const HeadSpec&, const HeadFeatures&, const std::string& output, int units);  // -> [n,units]

}  // namespace vkfer
