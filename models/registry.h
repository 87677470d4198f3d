#pragma once
// The models by name. A model is a backbone, from images to a feature map, and a head, from the map to what the network
// answers; both are functions that add nodes and states to a graph. Everything else about a model is data.
//
//   const ModelInfo& model = find_model("mobilenetv2");
//   Graph g;
//   Value images = g.input("images", {{8, 48, 48, 3}, DType::f32});
//   Value step = g.input("step", {{5}, DType::i32});
//   BuiltModel net = build_model(model, g, images, step, {.size = 48, .classes = 7, .training = true, .batch = 8});
//   g.output(net.logits, "logits");
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "models/weights/weight_file.h"

namespace vkfer {

// The input a network expects: (pixel * scale - mean[c]) / std[c], pixel in 0..255, channels R, G, B.
struct Preprocessing {
  std::string name;             // "imagenet", "half", ...
  double scale = 1.0 / 255;
  std::vector<double> mean, std;  // one per channel of three
  // For one channel the mean over the three serves.
  Preprocessing for_channels(int channels) const;
};
Preprocessing preprocessing_from_name(std::string_view name);  // imagenet, half, unit, none, caffe; fails naming them

// Of every batch norm; 0: as the network has it. Momentum as torch means it: the share of what is new.
struct BatchNormChoice {
  double eps = 0, momentum = 0;
  bool operator==(const BatchNormChoice&) const = default;
};
BatchNormChoice batch_norm_from_text(std::string_view);  // "0.001,0.01"; "": the network's own; fails for what is no such pair
std::string batch_norm_text(const BatchNormChoice&);

struct ModelOptions {
  int size = 48;                   // input height and width
  int channels = 3;
  int classes = 7;                 // 0: no class logits, with valence_arousal
  bool valence_arousal = false;    // two more outputs, [n,1] each
  std::string head;                // "": the model's own; else see models/head.h
  std::string freeze;              // "": nothing; else see models/freeze.h
  bool training = false;           // batch statistics, dropout and stochastic depth
  double dropout = -1;             // -1: the model's own
  bool stochastic = true;          // false: no dropout and no stochastic depth while training, whatever the model has
  bool frozen_batch_norm = false;  // while training: running statistics, and they stay as they are
  bool same_padding = false;       // strided convolutions pad as TensorFlow's SAME does: what is odd goes right and below
  BatchNormChoice batch_norm;      // of weights that were trained with another
  DType storage = DType::f32;      // of activations; parameters and logits are f32
  int batch = 1;
};

struct BuiltModel {
  Value images;                    // as given: [n,s,s,channels], already preprocessed
  Value logits;                    // [n,classes] f32; invalid with 0 classes
  Value valence, arousal;          // [n,1] f32; invalid unless asked for
  Value step;                      // as given, when a dropout uses it; else invalid
  std::string feature_label;       // label of the node whose output is the feature vector [n,k] that the outputs share
  int blocks = 0;                  // of the backbone, as --freeze blocks:N counts them
};

class Layers;
struct OnnxModel;

struct ModelInfo {
  std::string name;
  std::vector<std::string> aliases;
  std::string title;               // one line for people: paper and variant
  int default_size = 224;
  int smallest_size = 8;
  double default_dropout = 0;
  Preprocessing preprocessing;
  std::string classifier;          // the own head's last linear layer: "<classifier>.weight", "<classifier>.bias"
  std::string classifier_init = "conv_uniform", classifier_bias_init;  // see models/init.h; "": torch's for a linear layer

  // images [n,s,s,c] -> feature map [n,h,w,k]
  std::function<Value(Layers&, Value images)> backbone;
  // feature map -> what the classifier takes, [n,k]; the published head without its last layer
  std::function<Value(Layers&, Value map)> neck;

  // Of networks that come from a file (see onnx/network.h); empty for ours.
  std::string origin;                          // what find_model() knows it by, where that is not its name
  int channels = 0;                            // that it takes, and no others; 0: 1 or 3
  std::function<WeightFile()> weights;         // that it came with
  std::function<std::string(bool with_neck)> definition;  // bytes that go with saved weights, and from which it comes back
  std::function<OnnxModel(bool with_neck)> onnx;          // from the images to the map, or to what the neck makes of it

  const std::string& reference() const { return origin.empty() ? name : origin; }
};

// The layer that makes the class logits under this head.
std::string classifier_of(const ModelInfo&, std::string_view head);

// By name or alias, or the path of an ONNX model. Unknown: an Error that lists the names and the nearest one.
const ModelInfo& find_model(std::string_view name);
std::span<const ModelInfo* const> all_models();

// The part of build_model() behind the backbone: over layers that begin_head() was called on.
BuiltModel build_head(const ModelInfo&, Layers&, Value map);

// Builds `model` after checking the options against it (sizes, classes, shapes). `step` is i32 [5] (see ops::dropout); it may be
// invalid when nothing is dropped at random.
BuiltModel build_model(const ModelInfo& model, Graph&, Value images, Value step, const ModelOptions&);

// The names of the backbone's parameters and running statistics.
std::vector<std::string> backbone_states(const ModelInfo&, int channels);

// The names of the parameters that train under options.freeze.
std::vector<std::string> trainable_names(const ModelInfo&, const ModelOptions&);

struct ModelSummary {
  int64_t parameters = 0;               // running statistics not counted
  int64_t running_statistics = 0;       // which Keras counts as parameters
  int64_t trainable = 0;                // of the parameters, under options.freeze
  int64_t trainable_frozen_backbone = 0;
  int64_t macs = 0;                     // of convolutions and linear layers, one image forward
  int64_t bytes = 0;                    // of all parameters and running statistics as f32
  int nodes = 0;                        // of the unfused inference graph
  int blocks = 0;                       // of the backbone
};
ModelSummary summarise(const ModelInfo&, const ModelOptions&);

// The candidate with the fewest edits from `wanted`; "" when none is near.
std::string nearest_name(std::string_view wanted, std::span<const std::string> candidates);

}  // namespace vkfer
