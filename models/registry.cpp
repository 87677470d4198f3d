#include "models/registry.h"

#include <algorithm>

#include "graph/ops/ops.h"
#include "models/catalogue.h"
#include "runtime/error.h"

namespace vkfer {

std::span<const ModelInfo* const> all_models() {
  static const ModelInfo* const models[] = {&mobilenet_v2, &compact_resnet, &compact_resnet_418k, &compact_mobilenet_v2};
  return models;
}

const ModelInfo& find_model(std::string_view name) {
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

bool ModelInfo::in_head(std::string_view state_name) const {
  return std::ranges::any_of(head, [&](const std::string& prefix) { return state_name.starts_with(prefix); });
}

BuiltModel build_model(const ModelInfo& model, Graph& graph, Value images, Value step, const ModelOptions& asked) {
  ModelOptions options = asked;
  if (options.dropout == -1) options.dropout = model.default_dropout;
  auto require = [&](bool ok, const char* what, auto got, const std::string& expected) {
    if (!ok) fail("model", "{}: {}: got {}, expected {}. Fix: choose such a value", model.name, what, got, expected);
  };
  require(options.size >= model.smallest_size && options.size <= 4096, "input size", options.size,
          fmt::format("{} to 4096", model.smallest_size));
  require(options.channels == 1 || options.channels == 3, "channels", options.channels, "1 or 3");
  require(options.classes >= 1 && options.classes <= 100000, "classes", options.classes, "1 to 100000");
  require(options.dropout >= 0 && options.dropout < 1, "dropout", options.dropout, "0 or more and below 1");
  const Shape wanted = {options.batch, options.size, options.size, options.channels};
  require(graph.shape(images) == wanted, "images", graph.shape(images).to_string(), wanted.to_string());
  require(step || !options.training || options.dropout == 0, "step input", "none", "one, as dropout is on");
  return model.build(graph, images, step, options);
}

namespace {

// Multiplications of one output element times the output elements.
int64_t node_macs(const Graph& graph, const Node& node) {
  if (node.op != &ops::conv2d && node.op != &ops::linear) return 0;
  const Shape& filter = graph.shape(node.in[1]);
  return graph.shape(node.out[0]).elements() * (filter.elements() / filter.last());
}

}  // namespace

ModelSummary summarise(const ModelInfo& model, const ModelOptions& asked) {
  ModelOptions options = asked;
  options.training = false;
  options.batch = 1;
  Graph graph;
  Value images = graph.input("images", {{1, options.size, options.size, options.channels}, DType::f32});
  build_model(model, graph, images, {}, options);

  ModelSummary summary;
  for (Value v : graph.states()) {
    const ValueInfo& info = graph.info(v);
    const int64_t n = info.desc.elements();
    summary.bytes += n * int64_t(sizeof(float));
    if (!info.state.trainable) continue;
    summary.parameters += n;
    summary.trainable += n;
    if (model.in_head(info.name)) summary.trainable_frozen_backbone += n;
  }
  for (const Node& node : graph.nodes()) summary.macs += node_macs(graph, node);
  summary.nodes = int(graph.nodes().size());
  return summary;
}

}  // namespace vkfer
