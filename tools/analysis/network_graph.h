#pragma once
// A network as it infers, for analyses to add nodes to.
//
//   pixels u8 [n,s,s,c0] ─ normalize ─► images [n,s,s,c] ─ model ─► logits [n,k], valence and arousal [n,1]
#include "graph/executor.h"
#include "tools/train/step_graph.h"

namespace vkfer {

struct NetworkGraph {
  Graph graph;              // unfused: batch norm by its running statistics, nothing dropped
  Value pixels, augment;    // as StepGraph's; invalid when pixel_channels is 0, then `images` is an input
  BuiltModel built;
};

// Batches of settings.batch pictures, computed in f32 whatever the settings' storage is.
NetworkGraph network_graph(const NetworkSettings&);

}  // namespace vkfer
