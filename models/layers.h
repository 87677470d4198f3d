#pragma once
// Layers as torch.nn has them: each adds its states (torch's names, torch's defaults) and its nodes to the graph.
// Activations are [n,h,w,c].
#include <algorithm>
#include <string>

#include "graph/graph.h"
#include "models/freeze.h"
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
  std::string bias_init = {};         // "": torch's default
};

struct BatchNormSpec {
  double eps = 1e-5, momentum = 0.1;
};

class Layers {
 public:
  Layers(Graph& graph, const ModelOptions& options, Value step)
      : graph_(graph), options_(options), step_(step), freeze_(options.freeze) {}

  // What follows is the next block of the backbone, or the head: what --freeze speaks of.
  void begin_block() { ++blocks_; }
  void begin_head() { in_head_ = true; }
  int blocks() const { return blocks_; }
  // Fails when options.freeze names what the model does not have, or leaves nothing to train.
  void check_freeze(const std::string& model) const;

  // The images in the storage type of activations.
  Value begin(Value images);
  Value conv(const std::string& name, Value x, const ConvSpec&);                     // -> [n,oh,ow,out]
  Value depthwise(const std::string& name, Value x, ConvSpec);                       // groups and out follow x
  // `flattened`: as for linear.
  Value batch_norm(const std::string& name, Value x, const BatchNormSpec& = {}, const Shape& flattened = {});
  Value activation(const OpDef&, const std::string& label, Value x);
  // The same over states that are there already: scale and shift are parameters(), mean and variance states.
  struct NormStates {
    Value weight, bias, mean, var;
  };
  Value batch_norm(const std::string& label, Value x, const NormStates&, const BatchNormSpec&);
  // A state that is trained unless options.freeze covers its name.
  Value parameter(const std::string& name, const Shape&, StateInfo);
  Value add(const std::string& label, Value a, Value b);
  Value max_pool(const std::string& label, Value x, int kernel, int stride, int pad = 0);
  Value adaptive_avg_pool(const std::string& label, Value x, int size);              // -> [n,size,size,c]
  Value global_avg_pool(const std::string& label, Value x);                          // -> [n,c]
  Value global_max_pool(const std::string& label, Value x);                          // -> [n,c]
  Value dropout(const std::string& label, Value x, double p);                        // x itself unless training and p > 0
  // shortcut + y, where the whole of an image's y is dropped with probability p while training (Huang et al., 2016).
  Value add_stochastic(const std::string& label, Value shortcut, Value y, double p);
  // Hu et al., Squeeze-and-Excitation Networks, 2018, with SiLU: torchvision's names fc1, fc2 below `name`.
  Value squeeze_excite(const std::string& name, Value x, int squeezed, const std::string& init);
  // A linear layer over [n,k] in f32. `flattened` is the [h,w,c] that became k, when k came from an image.
  Value linear(const std::string& name, Value x, int out, const std::string& init = "conv_uniform",
               const std::string& bias_init = {}, const Shape& flattened = {});
  Value flatten(const std::string& label, Value x);

  const ModelOptions& options() const { return options_; }
  bool used_step() const { return salts_ > 0; }
  Graph& graph() { return graph_; }
  const Shape& shape(Value v) const { return graph_.shape(v); }

 private:
  bool random(double p) const;
  int next_salt(const std::string& label);
  bool frozen(const std::string& parameter) const { return freeze_.covers(parameter, in_head_ ? Freeze::kHead : std::max(0, blocks_ - 1)); }

  Graph& graph_;
  const ModelOptions& options_;
  Value step_;
  const Freeze freeze_;
  int blocks_ = 0;
  bool in_head_ = false;
  int salts_ = 0;  // given out: every layer that drops at random has its own
};

}  // namespace vkfer
