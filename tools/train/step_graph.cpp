#include "tools/train/step_graph.h"

#include "graph/ops/ops.h"

namespace vkfer {
namespace {

// As torch.cuda.amp.GradScaler begins.
constexpr const char* kInitialLossScale = "constant:65536";

void add_images(StepGraph& s, const NetworkSettings& n, bool training) {
  if (n.pixel_channels == 0) {
    s.images = s.graph.input("images", {{n.batch, n.size, n.size, n.channels}, DType::f32});
    return;
  }
  s.pixels = s.graph.input("pixels", {{n.batch, n.size, n.size, n.pixel_channels}, DType::u8});
  s.augment = s.graph.input("augment", {{n.batch, 4}, DType::i32});
  Value pixels = s.pixels;
  if (training && n.warp) {
    s.warp = s.graph.input("warp", {{n.batch, 20}, DType::f32});
    pixels = s.graph.add1(ops::warp, {}, {pixels, s.warp}, "warp");
  }
  const Preprocessing p = n.preprocessing.for_channels(n.channels);
  s.images = s.graph.add1(ops::normalize, {{"channels", n.channels}, {"scale", p.scale}, {"mean", p.mean}, {"std", p.std}, {"to", dtype_name(n.storage)}},
                          {pixels, s.augment}, "normalize");
}

void add_network(StepGraph& s, const NetworkSettings& n, bool training) {
  ModelOptions options;
  options.size = n.size;
  options.channels = n.channels;
  options.classes = n.classes;
  options.batch = n.batch;
  options.training = training;
  options.dropout = n.dropout;
  options.storage = n.storage;
  options.same_padding = n.same_padding;
  options.batch_norm = n.batch_norm;
  options.frozen_batch_norm = n.frozen_batch_norm;
  options.head = n.head;
  options.freeze = training ? n.freeze : "";
  options.valence_arousal = n.valence_arousal;
  options.stochastic = n.stochastic;
  const Value step = training ? s.graph.input("step", {{5}, DType::i32}) : Value{};
  const BuiltModel built = build_model(*n.model, s.graph, s.images, step, options);
  s.step = built.step;
  s.logits = built.logits;
  s.valence.prediction = built.valence;
  s.arousal.prediction = built.arousal;
}

Value add_class_loss(StepGraph& s, const NetworkSettings& n, const Attrs& shape_of_loss, const char* sums_name) {
  Graph& g = s.graph;
  s.labels = g.input("labels", {{n.batch}, DType::i32});
  s.class_weights = g.input("class_weights", {{n.classes}, DType::f32});
  const std::vector<Value> out = g.add(ops::softmax_cross_entropy, shape_of_loss, {s.logits, s.labels, s.class_weights}, "loss");
  s.probabilities = out[1];
  const Value sums = g.state(sums_name, {{int64_t(n.classes) * n.classes + 2}, DType::f32});
  const bool may_skip = bool(s.loss_scale);
  g.update(sums, g.add1(ops::classification_sums, {{"finite", may_skip}}, {out[1], s.labels, out[2], sums}, "sums"));
  g.output(s.logits, "logits");
  return out[0];
}

// The loss of a piece of the batch, weighted with the piece's share of it.
Value weighted(Graph& g, Value loss, Value& share, const std::string& name) {
  share = g.input(name + ".share", {{1}, DType::f32});
  return g.add1(ops::mul, {}, {loss, share}, name + ".weighted");
}

Value add_regression_loss(StepGraph& s, const NetworkSettings& n, Regression& r, const std::string& name, const std::string& sums_name) {
  Graph& g = s.graph;
  const TensorDesc column{{n.batch, 1}, DType::f32};
  r.target = g.input(name + ".target", column);
  r.mask = g.input(name + ".mask", column);
  g.output(r.prediction, name);
  const Value sums = g.state(sums_name + "." + name, {{2}, DType::f32});
  const bool may_skip = bool(s.loss_scale);
  g.update(sums, g.add1(ops::squared_error_sums, {{"finite", may_skip}}, {r.prediction, r.target, r.mask, sums}, name + ".sums"));
  return g.add1(ops::mse, {}, {r.prediction, r.target, r.mask}, name + ".loss");
}

// The sum of the losses of all outputs.
void add_loss(StepGraph& s, const NetworkSettings& n, const Attrs& shape_of_loss, const char* sums_name) {
  std::vector<Value> losses;
  const auto append = [&](Value loss, Value& share, const char* name) {
    losses.push_back(n.sum_gradients ? weighted(s.graph, loss, share, name) : loss);
  };
  if (s.logits) append(add_class_loss(s, n, shape_of_loss, sums_name), s.class_share, "class");
  if (s.valence.prediction) append(add_regression_loss(s, n, s.valence, "valence", sums_name), s.valence.share, "valence");
  if (s.arousal.prediction) append(add_regression_loss(s, n, s.arousal, "arousal", sums_name), s.arousal.share, "arousal");
  s.loss = losses[0];
  for (size_t i = 1; i < losses.size(); ++i) s.loss = s.graph.add1(ops::add, {}, {s.loss, losses[i]}, "loss.sum");
  s.graph.output(s.loss, "loss");
}

std::vector<Value> trainable_states(const Graph& g) {
  std::vector<Value> wanted;
  for (const Value v : g.states())
    if (g.info(v).state.trainable) wanted.push_back(v);
  return wanted;
}

// Dynamic loss scaling: differentiate() starts from the scale, the optimizer undoes it or skips the step, then the scale follows.
LossScaling add_nonfinite(Graph& g, Value loss_scale, const std::vector<std::vector<TrainedParameter>>& groups) {
  LossScaling scaling{loss_scale, {}};
  for (const auto& group : groups) {
    std::vector<Value> in;
    for (const TrainedParameter& t : group) in.push_back(t.gradient);
    if (scaling.nonfinite) in.push_back(scaling.nonfinite);
    scaling.nonfinite = g.add1(ops::nonfinite, {{"tensors", int64_t(group.size())}}, in, "nonfinite");
  }
  return scaling;
}

void update_loss_scale(Graph& g, const LossScaling& scaling) {
  const Value counts = g.state(kLossScaleCounts, {{2}, DType::f32});
  const std::vector<Value> out = g.add(ops::loss_scale_update, {}, {scaling.scale, counts, scaling.nonfinite}, "loss_scale_update");
  g.update(scaling.scale, out[0]);
  g.update(counts, out[1]);
}

// Each gradient into a state of its own, packed as the optimizer will want them.
void add_gradient_sums(StepGraph& s, const std::vector<std::vector<TrainedParameter>>& groups) {
  Graph& g = s.graph;
  s.first = g.input("first", {{1}, DType::f32});
  for (const auto& group : groups) {
    std::vector<Value> sums;
    for (const TrainedParameter& t : group) sums.push_back(g.state(kGradientSum + g.info(t.parameter).name, g.desc(t.gradient)));
    std::vector<Value> in = sums;
    for (const TrainedParameter& t : group) in.push_back(t.gradient);
    in.push_back(s.first);
    const std::vector<Value> out = g.add(ops::accumulate, {{"tensors", int64_t(group.size())}}, in, "accumulate");
    for (size_t i = 0; i < sums.size(); ++i) g.update(sums[i], out[i]);
  }
}

// The optimizer divides by what clipping makes of the scale: that of mixed precision, or 1 (the gradient of the loss by itself).
Value add_clipping(Graph& g, Value scale, double max_norm, const std::vector<std::vector<TrainedParameter>>& groups) {
  Value sum;
  for (const auto& group : groups) {
    std::vector<Value> in;
    for (const TrainedParameter& t : group) in.push_back(t.gradient);
    if (sum) in.push_back(sum);
    sum = g.add1(ops::sum_squares, {{"tensors", int64_t(group.size())}}, in, "gradient_norm");
  }
  if (!scale) scale = g.state(kLossScale, {{1}, DType::f32}, {.init = "ones"});
  return g.add1(ops::clip_scale, {{"max_norm", max_norm}}, {sum, scale}, "clip");
}

void add_averages(StepGraph& s, std::span<const TrainedParameter> group, const std::vector<Value>& parameters) {
  Graph& g = s.graph;
  if (!s.ema_decay) s.ema_decay = g.input("ema_decay", {{1}, DType::f32});
  std::vector<Value> in, averages;
  for (const TrainedParameter& t : group) averages.push_back(g.state(kAverage + g.info(t.parameter).name, g.desc(t.parameter)));
  in = averages;
  in.insert(in.end(), parameters.begin(), parameters.end());
  in.push_back(s.ema_decay);
  const std::vector<Value> out = g.add(ops::ema, {{"tensors", int64_t(group.size())}}, in, "ema");
  for (size_t i = 0; i < averages.size(); ++i) g.update(averages[i], out[i]);
}

void add_optimizers(StepGraph& s, const OptimizerDef& optimizer, const OptimizerSettings& settings, const std::vector<TrainedParameter>& trained) {
  s.hyper = s.graph.input("hyper", {{8}, DType::f32});
  const std::vector<std::vector<TrainedParameter>> groups = packed_groups(s.graph, trained);
  LossScaling scaling = s.loss_scale ? add_nonfinite(s.graph, s.loss_scale, groups) : LossScaling{};
  const LossScaling unclipped = scaling;
  if (settings.clip_norm > 0 && !groups.empty()) scaling.scale = add_clipping(s.graph, scaling.scale, settings.clip_norm, groups);
  for (const auto& group : groups) {
    const std::vector<Value> parameters = add_optimizer(s.graph, optimizer, settings, group, s.hyper, scaling);
    if (settings.ema) add_averages(s, group, parameters);
  }
  if (unclipped.nonfinite) update_loss_scale(s.graph, unclipped);
}

Value loss_scale_state(Graph& g) { return g.state(kLossScale, {{1}, DType::f32}, {.init = kInitialLossScale}); }

}  // namespace

StepGraph training_graph(const NetworkSettings& n, const OptimizerDef& optimizer, const OptimizerSettings& settings,
                         bool keep_gradients) {
  StepGraph s;
  add_images(s, n, true);
  add_network(s, n, true);
  fuse_for_training(s.graph);
  if (n.storage == DType::f16) s.loss_scale = loss_scale_state(s.graph);
  add_loss(s, n, {{"label_smoothing", n.label_smoothing}, {"focal_gamma", n.focal_gamma}}, kTrainSums);
  const std::vector<Value> parameters = trainable_states(s.graph);
  const size_t forward_nodes = s.graph.nodes().size();
  const std::vector<Value> gradients = differentiate(s.graph, s.loss, parameters);
  if (n.recompute) recompute(s.graph, forward_nodes);
  std::vector<TrainedParameter> trained;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) continue;
    trained.push_back({parameters[i], gradients[i]});
    const std::string name = s.graph.info(parameters[i]).name;
    s.gradients.emplace_back(name, gradients[i]);
    if (keep_gradients) s.graph.output(gradients[i], "grad." + name);
  }
  if (n.sum_gradients) add_gradient_sums(s, packed_groups(s.graph, trained));
  else add_optimizers(s, optimizer, settings, trained);
  return s;
}

StepGraph optimizer_graph(const StepGraph& pieces, const OptimizerDef& optimizer, const OptimizerSettings& settings) {
  StepGraph s;
  if (pieces.loss_scale) s.loss_scale = loss_scale_state(s.graph);
  std::vector<TrainedParameter> trained;
  for (const auto& [name, gradient] : pieces.gradients) {
    const ValueInfo& parameter = pieces.graph.info(pieces.graph.find(name));
    trained.push_back({s.graph.state(name, parameter.desc, parameter.state), s.graph.state(kGradientSum + name, pieces.graph.desc(gradient))});
  }
  add_optimizers(s, optimizer, settings, trained);
  return s;
}

StepGraph evaluation_graph(const NetworkSettings& n) {
  StepGraph s;
  add_images(s, n, false);
  add_network(s, n, false);
  fuse_for_inference(s.graph);
  add_loss(s, n, {}, kEvalSums);
  if (s.probabilities) s.graph.output(s.probabilities, "probabilities");
  return s;
}

}  // namespace vkfer
