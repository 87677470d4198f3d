#pragma once
// Layers as torch.nn has them: each adds its states (torch's names, torch's defaults) and its nodes to the graph.
// Activations are [n,h,w,c].
#include <string>

#include "graph/graph.h"
#include "models/registry.h"

namespace vkfer {

struct ConvSpec {
  int out = 0;
  int kernel = 3;
  int stride = 1;
  int pad = 0;
  int groups = 1;
  bool bias = false;
  std::string init = "conv_uniform";  // of the filter
};

struct BatchNormSpec {
  double eps = 1e-5, momentum = 0.1;
};

class Layers {
 public:
  Layers(Graph& graph, const ModelOptions& options, Value step) : graph_(graph), options_(options), step_(step) {}

  // The images in the storage type of activations.
  Value begin(Value images);
  Value conv(const std::string& name, Value x, const ConvSpec&);                     // -> [n,oh,ow,out]
  Value depthwise(const std::string& name, Value x, ConvSpec);                       // groups and out follow x
  Value batch_norm(const std::string& name, Value x, const BatchNormSpec& = {});
  Value activation(const OpDef&, const std::string& label, Value x);
  Value add(const std::string& label, Value a, Value b);
  Value max_pool2(const std::string& label, Value x);                                // kernel 2, stride 2
  Value global_avg_pool(const std::string& label, Value x);                          // -> [n,c]
  Value dropout(const std::string& label, Value x, double p);                        // x itself unless training and p > 0
  // A linear layer over [n,k] in f32. `flattened` is the [h,w,c] that became k, when k came from an image.
  Value linear(const std::string& name, Value x, int out, const std::string& init = "conv_uniform",
               const std::string& bias_init = {}, const Shape& flattened = {});
  Value flatten(const std::string& label, Value x);

  bool used_step() const { return dropouts_ > 0; }
  const Graph& graph() const { return graph_; }

 private:
  Graph& graph_;
  const ModelOptions& options_;
  Value step_;
  int dropouts_ = 0;
};

}  // namespace vkfer
