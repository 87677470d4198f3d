#pragma once
// Small networks with everything in them that graph rewrites and plans have to cope with: a shortcut, a value with
// several users, batch norm, squeeze-excitation, pooling, a loss.
#include <map>

#include "graph/graph.h"
#include "tests/op_data.h"

namespace vkfer::test {

struct SmallNet {
  Graph graph;
  Value images, labels, class_weights, logits, loss;
};

struct SmallNetOptions {
  bool training = true;        // batch_norm, else batch_norm_eval
  std::string activation = "relu";
  int batch = 2;
};

SmallNet small_net(const SmallNetOptions& = {});

// Random values of every input and state; labels 0..2; running variances and class weights above 0.
std::map<int, HostTensor> random_values(const Graph&, std::string_view seed);

// Adds differentiate() over all trainable states and an SGD update of each.
void add_training(SmallNet&, bool outputs = true);

}  // namespace vkfer::test
