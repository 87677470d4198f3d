#include "tools/train/step_graph.h"

#include "graph/ops/ops.h"

namespace vkfer {
namespace {

void add_images(StepGraph& s, const NetworkSettings& n) {
  if (n.pixel_channels == 0) {
    s.images = s.graph.input("images", {{n.batch, n.size, n.size, n.channels}, DType::f32});
    return;
  }
  s.pixels = s.graph.input("pixels", {{n.batch, n.size, n.size, n.pixel_channels}, DType::u8});
  s.augment = s.graph.input("augment", {{n.batch, 4}, DType::i32});
  const Preprocessing p = n.preprocessing.for_channels(n.channels);
  s.images = s.graph.add1(ops::normalize, {{"channels", n.channels}, {"scale", p.scale}, {"mean", p.mean}, {"std", p.std}},
                          {s.pixels, s.augment}, "normalize");
}

void add_network(StepGraph& s, const NetworkSettings& n, bool training) {
  ModelOptions options;
  options.size = n.size;
  options.channels = n.channels;
  options.classes = n.classes;
  options.batch = n.batch;
  options.training = training;
  options.dropout = n.dropout;
  options.frozen_batch_norm = n.frozen_batch_norm || n.freeze_backbone;
  const Value step = training ? s.graph.input("step", {{4}, DType::i32}) : Value{};
  const BuiltModel built = build_model(*n.model, s.graph, s.images, step, options);
  s.step = built.step;
  s.logits = built.logits;
  if (n.freeze_backbone)
    for (const Value v : s.graph.states())
      if (!n.model->in_head(s.graph.info(v).name)) s.graph.set_trainable(v, false);
}

void add_loss(StepGraph& s, const NetworkSettings& n, double label_smoothing, const char* sums_name) {
  Graph& g = s.graph;
  s.labels = g.input("labels", {{n.batch}, DType::i32});
  s.class_weights = g.input("class_weights", {{n.classes}, DType::f32});
  const std::vector<Value> out = g.add(ops::softmax_cross_entropy, {{"label_smoothing", label_smoothing}},
                                       {s.logits, s.labels, s.class_weights}, "loss");
  s.loss = out[0];
  s.probabilities = out[1];
  const Value sums = g.state(sums_name, {{int64_t(n.classes) * n.classes + 2}, DType::f32});
  g.update(sums, g.add1(ops::classification_sums, {}, {out[1], s.labels, out[2], sums}, "sums"));
  g.output(s.logits, "logits");
  g.output(s.loss, "loss");
}

std::vector<Value> trainable_states(const Graph& g) {
  std::vector<Value> wanted;
  for (const Value v : g.states())
    if (g.info(v).state.trainable) wanted.push_back(v);
  return wanted;
}

}  // namespace

StepGraph training_graph(const NetworkSettings& n, const OptimizerDef& optimizer, const OptimizerSettings& settings,
                         bool keep_gradients) {
  StepGraph s;
  add_images(s, n);
  add_network(s, n, true);
  fuse_for_training(s.graph);
  add_loss(s, n, n.label_smoothing, kTrainSums);
  const std::vector<Value> parameters = trainable_states(s.graph);
  const std::vector<Value> gradients = differentiate(s.graph, s.loss, parameters);
  s.hyper = s.graph.input("hyper", {{8}, DType::f32});
  std::vector<TrainedParameter> trained;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) continue;
    trained.push_back({parameters[i], gradients[i]});
    const std::string name = s.graph.info(parameters[i]).name;
    s.gradients.emplace_back(name, gradients[i]);
    if (keep_gradients) s.graph.output(gradients[i], "grad." + name);
  }
  for (const auto& group : packed_groups(s.graph, trained)) add_optimizer(s.graph, optimizer, settings, group, s.hyper);
  return s;
}

StepGraph evaluation_graph(const NetworkSettings& n) {
  StepGraph s;
  add_images(s, n);
  add_network(s, n, false);
  fuse_for_inference(s.graph);
  add_loss(s, n, 0, kEvalSums);
  s.graph.output(s.probabilities, "probabilities");
  return s;
}

}  // namespace vkfer
