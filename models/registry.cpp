#include "models/registry.h"

#include <algorithm>
#include <charconv>

#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "models/freeze.h"
#include "models/head.h"
#include "models/layers.h"
#include "models/onnx/network.h"
#include "runtime/error.h"

namespace vkfer {

std::span<const ModelInfo* const> all_models() {
  static const ModelInfo* const models[] = {
      &mobilenet_v2, &mobilenet_v2_035, &mobilenet_v2_050, &mobilenet_v2_075, &mobilenet_v2_140,
      &efficientnet_b0,
      &resnet18, &resnet34, &resnet50, &resnet50_keras,
      &vgg16, &vgg16_bn, &vgg19, &vgg19_bn,
      &compact_resnet, &compact_resnet_418k, &compact_mobilenet_v2,
  };
  return models;
}

const ModelInfo& find_model(std::string_view name) {
  if (is_onnx_path(name)) return onnx_network(std::string(name));
  std::vector<std::string> names;
  std::string list;
  for (const ModelInfo* model : all_models()) {
    if (model->name == name || std::ranges::count(model->aliases, name)) return *model;
    names.push_back(model->name);
    names.insert(names.end(), model->aliases.begin(), model->aliases.end());
    list += (list.empty() ? "" : ", ") + model->name;
  }
  const std::string nearest = nearest_name(name, names);
  fail("model", "unknown model: got '{}', expected one of {}. Fix: {}", name.substr(0, 100), list,
       nearest.empty() ? "choose one of these" : "did you mean " + nearest + "?");
}

BatchNormChoice batch_norm_from_text(std::string_view text) {
  if (text.empty()) return {};
  BatchNormChoice choice;
  const char* const end = text.data() + text.size();
  const auto eps = std::from_chars(text.data(), end, choice.eps);
  const bool comma = eps.ec == std::errc() && eps.ptr != end && *eps.ptr == ',';
  const auto momentum = comma ? std::from_chars(eps.ptr + 1, end, choice.momentum) : eps;
  if (!comma || momentum.ec != std::errc() || momentum.ptr != end || !(choice.eps > 0 && choice.eps < 1) || !(choice.momentum > 0 && choice.momentum <= 1))
    fail("--batch-norm", "got '{}', expected an epsilon and a momentum, above 0 and up to 1. Fix: --batch-norm 0.001,0.01", text.substr(0, 100));
  return choice;
}

std::string batch_norm_text(const BatchNormChoice& choice) { return choice.eps > 0 ? fmt::format("{},{}", choice.eps, choice.momentum) : ""; }

std::string classifier_of(const ModelInfo& model, std::string_view head) {
  return is_default_head(head) ? model.classifier : "head.classes";
}

namespace {

void check_options(const ModelInfo& model, const ModelOptions& options) {
  auto require = [&](bool ok, const char* what, auto got, const std::string& expected) {
    if (!ok) fail("model", "{}: {}: got {}, expected {}. Fix: choose such a value", model.name, what, got, expected);
  };
  require(options.size >= model.smallest_size && options.size <= 4096, "input size", options.size,
          fmt::format("{} to 4096", model.smallest_size));
  require(model.channels ? options.channels == model.channels : options.channels == 1 || options.channels == 3, "channels", options.channels,
          model.channels ? std::to_string(model.channels) : "1 or 3");
  require(options.classes >= (options.valence_arousal ? 0 : 1) && options.classes <= 100000, "classes", options.classes, "1 to 100000");
  require(options.dropout >= 0 && options.dropout < 1, "dropout", options.dropout, "0 or more and below 1");
}

// The node that made `v`, seen through a dropout.
std::string feature_label(const Graph& graph, Value v) {
  if (graph.info(v).producer < 0) return graph.info(v).name;
  const Node* node = &graph.nodes()[size_t(graph.info(v).producer)];
  if (node->op == &ops::dropout && graph.info(node->in[0]).producer >= 0) node = &graph.nodes()[size_t(graph.info(node->in[0]).producer)];
  return node->label;
}

// The published head; valence and arousal are two more linear layers on what its classifier takes.
BuiltModel own_head(Layers& layers, const ModelInfo& model, Value map) {
  const ModelOptions& o = layers.options();
  const Value features = model.neck(layers, map);
  BuiltModel built;
  if (o.classes > 0) built.logits = layers.linear(model.classifier, features, o.classes, model.classifier_init, model.classifier_bias_init);
  if (o.valence_arousal) {
    built.valence = layers.linear("head.valence", features, 1, "glorot_uniform", "zeros");
    built.arousal = layers.linear("head.arousal", features, 1, "glorot_uniform", "zeros");
  }
  built.feature_label = feature_label(layers.graph(), features);
  return built;
}

BuiltModel composed_head(Layers& layers, Value map) {
  const ModelOptions& o = layers.options();
  const HeadSpec spec = parse_head(o.head);
  const HeadFeatures features = head_trunk(layers, spec, map);
  BuiltModel built;
  if (o.classes > 0) built.logits = head_output(layers, spec, features, "classes", o.classes);
  if (o.valence_arousal) {
    built.valence = head_output(layers, spec, features, "valence", 1);
    built.arousal = head_output(layers, spec, features, "arousal", 1);
  }
  built.feature_label = feature_label(layers.graph(), features.value);
  return built;
}

}  // namespace

BuiltModel build_head(const ModelInfo& model, Layers& layers, Value map) {
  return is_default_head(layers.options().head) ? own_head(layers, model, map) : composed_head(layers, map);
}

BuiltModel build_model(const ModelInfo& model, Graph& graph, Value images, Value step, const ModelOptions& asked) {
  ModelOptions options = asked;
  if (options.dropout == -1) options.dropout = model.default_dropout;
  check_options(model, options);
  const Shape wanted = {options.batch, options.size, options.size, options.channels};
  if (graph.shape(images) != wanted)
    fail("model", "{}: images: got {}, expected {}. Fix: give such an input", model.name, graph.shape(images).to_string(), wanted.to_string());
  Layers layers(graph, options, step);
  const Value map = model.backbone(layers, layers.begin(images));
  layers.begin_head();
  BuiltModel built = build_head(model, layers, map);
  built.images = images;
  built.step = layers.used_step() ? step : Value{};
  built.blocks = layers.blocks();
  layers.check_freeze(model.name);
  return built;
}

std::vector<std::string> backbone_states(const ModelInfo& model, int channels) {
  Graph graph;
  const ModelOptions options;
  Layers layers(graph, options, {});
  model.backbone(layers, graph.input("images", {{1, model.default_size, model.default_size, channels}, DType::f32}));
  std::vector<std::string> names;
  for (Value v : graph.states()) names.push_back(graph.info(v).name);
  return names;
}

namespace {

// Multiplications of one output element times the output elements.
int64_t node_macs(const Graph& graph, const Node& node) {
  if (node.op == &ops::squeeze_excite) return graph.desc(node.in[1]).elements() + graph.desc(node.in[3]).elements();
  if (node.op != &ops::conv2d && node.op != &ops::linear) return 0;
  const Shape& filter = graph.shape(node.in[1]);
  return graph.shape(node.out[0]).elements() * (filter.elements() / filter.last());
}

struct Counted {
  Graph graph;
  BuiltModel built;
  int64_t trainable = 0;
};

Counted count(const ModelInfo& model, ModelOptions options, const std::string& freeze) {
  options.training = false;
  options.batch = 1;
  options.freeze = freeze;
  Counted c;
  Value images = c.graph.input("images", {{1, options.size, options.size, options.channels}, DType::f32});
  c.built = build_model(model, c.graph, images, {}, options);
  for (Value v : c.graph.states())
    if (c.graph.info(v).state.trainable) c.trainable += c.graph.desc(v).elements();
  return c;
}

}  // namespace

std::vector<std::string> trainable_names(const ModelInfo& model, const ModelOptions& options) {
  const Counted c = count(model, options, options.freeze);
  std::vector<std::string> names;
  for (Value v : c.graph.states())
    if (c.graph.info(v).state.trainable) names.push_back(c.graph.info(v).name);
  return names;
}

ModelSummary summarise(const ModelInfo& model, const ModelOptions& options) {
  const Counted whole = count(model, options, "");
  ModelSummary summary;
  summary.parameters = whole.trainable;
  summary.trainable = count(model, options, options.freeze).trainable;
  summary.trainable_frozen_backbone = count(model, options, "backbone").trainable;
  for (Value v : whole.graph.states()) {
    const ValueInfo& info = whole.graph.info(v);
    summary.bytes += int64_t(info.desc.bytes());
    if (!info.state.trainable) summary.running_statistics += info.desc.elements();
  }
  for (const Node& node : whole.graph.nodes()) summary.macs += node_macs(whole.graph, node);
  summary.nodes = int(whole.graph.nodes().size());
  summary.blocks = whole.built.blocks;
  return summary;
}

}  // namespace vkfer
