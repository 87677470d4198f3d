#include "tools/train/step_graph.h"

#include <algorithm>

#include "graph/ops/ops.h"

namespace vkfer {
namespace {

// As torch.cuda.amp.GradScaler begins.
constexpr const char* kInitialLossScale = "constant:65536";

Value add_pictures(Graph& g, const NetworkSettings& n, Value pixels, Value augment, Value warp, DType to, const std::string& prefix) {
  if (warp) pixels = g.add1(ops::warp, {}, {pixels, warp}, prefix + "warp");
  const Preprocessing p = n.preprocessing.for_channels(n.channels);
  return g.add1(ops::normalize, {{"channels", n.channels}, {"scale", p.scale}, {"mean", p.mean}, {"std", p.std}, {"to", dtype_name(to)}}, {pixels, augment}, prefix + "normalize");
}

// images = partner + share * (images - partner), augmented each by itself.
void add_partners(StepGraph& s, const NetworkSettings& n, bool warps) {
  Graph& g = s.graph;
  const std::string prefix = "partner.";
  s.partner_pixels = g.input(prefix + "pixels", g.desc(s.pixels));
  s.partner_augment = g.input(prefix + "augment", g.desc(s.augment));
  if (warps) s.partner_warp = g.input(prefix + "warp", g.desc(s.warp));
  s.share = g.input("share", {{n.batch, n.size, n.size, 1}, DType::f32});
  const Value partner = add_pictures(g, n, s.partner_pixels, s.partner_augment, s.partner_warp, DType::f32, prefix);
  const auto binary = [&](const char* function, Value a, Value b) { return g.add1(ops::binary, {{"function", function}}, {a, b}, std::string("mix.") + function); };
  s.images = binary("add", partner, binary("mul", binary("sub", s.images, partner), s.share));
  if (n.storage != DType::f32) s.images = g.add1(ops::cast, {{"to", dtype_name(n.storage)}}, {s.images}, "mix.cast");
}

void add_images(StepGraph& s, const NetworkSettings& n, bool training) {
  if (n.pixel_channels == 0) {
    s.images = s.graph.input("images", {{n.batch, n.size, n.size, n.channels}, DType::f32});
    return;
  }
  s.pixels = s.graph.input("pixels", {{n.batch, n.size, n.size, n.pixel_channels}, DType::u8});
  s.augment = s.graph.input("augment", {{n.batch, 4}, DType::i32});
  const bool warps = training && n.warp, mixes = training && n.mix;
  if (warps) s.warp = s.graph.input("warp", {{n.batch, 20}, DType::f32});
  s.images = add_pictures(s.graph, n, s.pixels, s.augment, s.warp, mixes ? DType::f32 : n.storage, "");
  if (mixes) add_partners(s, n, warps);
}

void add_network(StepGraph& s, const NetworkSettings& n, bool training) {
  const Value step = training ? s.graph.input("step", {{5}, DType::i32}) : Value{};
  const BuiltModel built = build_model(*n.model, s.graph, s.images, step, model_options(n, training));
  s.step = built.step;
  s.logits = built.logits;
  s.valence.prediction = built.valence;
  s.arousal.prediction = built.arousal;
}

// target_scale * sum of -targets * log p: the row losses as well.
Value add_soft_loss(StepGraph& s, const NetworkSettings& n, Value& row_loss) {
  Graph& g = s.graph;
  s.targets = g.input("targets", {{n.batch, n.classes}, DType::f32});
  s.target_scale = g.input("targets.scale", {{1}, DType::f32});
  const std::vector<int64_t> classes{1}, rows{0};
  s.probabilities = g.add1(ops::softmax, {}, {s.logits}, "probabilities");
  const Value log_p = g.add1(ops::softmax_axis, {{"axis", 1}, {"log", 1}}, {s.logits}, "loss.log");
  const Value each = g.add1(ops::binary, {{"function", "mul"}}, {g.add1(ops::unary, {{"function", "neg"}}, {log_p}, "loss.minus"), s.targets}, "loss.each");
  row_loss = g.add1(ops::reduce, {{"function", "sum"}, {"axes", classes}, {"keepdims", 0}}, {each}, "loss.rows");
  const Value sum = g.add1(ops::reduce, {{"function", "sum"}, {"axes", rows}, {"keepdims", 1}}, {row_loss}, "loss.total");
  return g.add1(ops::mul, {}, {sum, s.target_scale}, "loss");
}

// What differs from the loss that is evaluated.
struct TrainingLoss {
  Attrs classes;   // of softmax_cross_entropy
};

Value add_class_loss(StepGraph& s, const NetworkSettings& n, const TrainingLoss* training, const char* sums_name) {
  Graph& g = s.graph;
  s.labels = g.input("labels", {{n.batch}, DType::i32});
  Value loss, row_loss;
  if (training && n.soft_targets) {
    loss = add_soft_loss(s, n, row_loss);
  } else {
    s.class_weights = g.input("class_weights", {{n.classes}, DType::f32});
    const std::vector<Value> out = g.add(ops::softmax_cross_entropy, training ? training->classes : Attrs{}, {s.logits, s.labels, s.class_weights}, "loss");
    loss = out[0], s.probabilities = out[1], row_loss = out[2];
  }
  const Value sums = g.state(sums_name, {{int64_t(n.classes) * n.classes + 2}, DType::f32});
  const bool may_skip = bool(s.loss_scale);
  g.update(sums, g.add1(ops::classification_sums, {{"finite", may_skip}}, {s.probabilities, s.labels, row_loss, sums}, "sums"));
  g.output(s.logits, "logits");
  return loss;
}

// The loss of a piece of the batch, weighted with the piece's share of it.
Value weighted(Graph& g, Value loss, Value& share, const std::string& name) {
  share = g.input(name + ".share", {{1}, DType::f32});
  return g.add1(ops::mul, {}, {loss, share}, name + ".weighted");
}

Value add_regression_loss(StepGraph& s, const NetworkSettings& n, Regression& r, const TrainingLoss* training, const std::string& name, const std::string& sums_name) {
  Graph& g = s.graph;
  const TensorDesc column{{n.batch, 1}, DType::f32};
  r.target = g.input(name + ".target", column);
  r.mask = g.input(name + ".mask", column);
  g.output(r.prediction, name);
  const Value sums = g.state(sums_name + "." + name, {{2}, DType::f32});
  const bool may_skip = bool(s.loss_scale);
  g.update(sums, g.add1(ops::squared_error_sums, {{"finite", may_skip}}, {r.prediction, r.target, r.mask, sums}, name + ".sums"));
  return g.add1(training && n.ccc ? ops::ccc_loss : ops::mse, {}, {r.prediction, r.target, r.mask}, name + ".loss");
}

// The sum of the losses of all outputs, each by its weight while training (`training` not null).
void add_loss(StepGraph& s, const NetworkSettings& n, const TrainingLoss* training, const char* sums_name) {
  std::vector<Value> losses;
  const auto append = [&](Value loss, Value& share, double weight, const std::string& name) {
    if (n.sum_gradients && !(s.targets && name == "class")) loss = weighted(s.graph, loss, share, name);   // soft targets have the batch's scale
    if (training && weight != 1) loss = s.graph.add1(ops::scale, {{"factor", weight}}, {loss}, name + ".weight");
    losses.push_back(loss);
  };
  if (s.logits) append(add_class_loss(s, n, training, sums_name), s.class_share, n.task_weights[0], "class");
  if (s.valence.prediction) append(add_regression_loss(s, n, s.valence, training, "valence", sums_name), s.valence.share, n.task_weights[1], "valence");
  if (s.arousal.prediction) append(add_regression_loss(s, n, s.arousal, training, "arousal", sums_name), s.arousal.share, n.task_weights[2], "arousal");
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
  const auto hyper_of = [&s](int phase) {
    if (phase == 0) return s.hyper;
    s.joined_hyper.resize(std::max(s.joined_hyper.size(), size_t(phase)));
    Value& hyper = s.joined_hyper[size_t(phase) - 1];
    return hyper ? hyper : hyper = s.graph.input("hyper." + std::to_string(phase), {{8}, DType::f32});
  };
  const std::vector<std::vector<TrainedParameter>> groups = packed_groups(s.graph, trained);
  LossScaling scaling = s.loss_scale ? add_nonfinite(s.graph, s.loss_scale, groups) : LossScaling{};
  const LossScaling unclipped = scaling;
  if (settings.clip_norm > 0 && !groups.empty()) scaling.scale = add_clipping(s.graph, scaling.scale, settings.clip_norm, groups);
  for (const auto& group : groups) {
    const std::vector<Value> parameters = add_optimizer(s.graph, optimizer, settings, group, hyper_of(group.front().joined), scaling);
    if (settings.ema) add_averages(s, group, parameters);
  }
  if (unclipped.nonfinite) update_loss_scale(s.graph, unclipped);
}

// Learning rate and weight decay of parameters, relative to the step's, and since when they are trained.
class Factors {
 public:
  explicit Factors(const NetworkSettings& n) : n_(n) {
    if (n.backbone_rate != 1) backbone_ = backbone_states(*n.model, n.channels);
    for (const std::string& freeze : n.freezes_before) {
      ModelOptions options = model_options(n, true);
      options.freeze = freeze;
      trained_before_.push_back(trainable_names(*n.model, options));
    }
  }
  TrainedParameter trained(const Graph& g, Value parameter, Value gradient) const {
    TrainedParameter t{parameter, gradient};
    const std::string& name = g.info(parameter).name;
    if (std::ranges::count(backbone_, name)) t.rate_factor = n_.backbone_rate;
    const auto first = std::ranges::find_if(trained_before_, [&](const auto& names) { return std::ranges::count(names, name) != 0; });
    t.joined = int(first - trained_before_.begin());
    if (!n_.decay_all && g.shape(parameter).rank() < 2) t.decay_factor = 0;   // as timm: biases, and what norms scale and shift by
    return t;
  }

 private:
  const NetworkSettings& n_;
  std::vector<std::string> backbone_;
  std::vector<std::vector<std::string>> trained_before_;  // by phase
};

Value loss_scale_state(Graph& g) { return g.state(kLossScale, {{1}, DType::f32}, {.init = kInitialLossScale}); }

}  // namespace

ModelOptions model_options(const NetworkSettings& n, bool training) {
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
  return options;
}

Graph inference_graph(const NetworkSettings& n) {
  ModelOptions options = model_options(n, false);
  options.batch = 1;
  Graph graph;
  const Value images = graph.input("images", {{1, n.size, n.size, n.channels}, DType::f32});
  const BuiltModel built = build_model(*n.model, graph, images, {}, options);
  if (built.logits) graph.output(built.logits, "logits");
  if (built.valence) graph.output(built.valence, "valence");
  if (built.arousal) graph.output(built.arousal, "arousal");
  return graph;
}

StepGraph training_graph(const NetworkSettings& n, const OptimizerDef& optimizer, const OptimizerSettings& settings,
                         bool keep_gradients) {
  StepGraph s;
  add_images(s, n, true);
  add_network(s, n, true);
  fuse_for_training(s.graph);
  if (n.storage == DType::f16) s.loss_scale = loss_scale_state(s.graph);
  const TrainingLoss loss{{{"label_smoothing", n.label_smoothing}, {"focal_gamma", n.focal_gamma}}};
  add_loss(s, n, &loss, kTrainSums);
  const std::vector<Value> parameters = trainable_states(s.graph);
  const size_t forward_nodes = s.graph.nodes().size();
  const std::vector<Value> gradients = differentiate(s.graph, s.loss, parameters);
  if (n.recompute) recompute(s.graph, forward_nodes);
  const Factors factors(n);
  std::vector<TrainedParameter> trained;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i]) continue;
    trained.push_back(factors.trained(s.graph, parameters[i], gradients[i]));
    const std::string name = s.graph.info(parameters[i]).name;
    s.gradients.emplace_back(name, gradients[i]);
    if (keep_gradients) s.graph.output(gradients[i], "grad." + name);
  }
  if (n.sum_gradients) add_gradient_sums(s, packed_groups(s.graph, trained));
  else add_optimizers(s, optimizer, settings, trained);
  return s;
}

StepGraph optimizer_graph(const NetworkSettings& n, const StepGraph& pieces, const OptimizerDef& optimizer, const OptimizerSettings& settings) {
  StepGraph s;
  if (pieces.loss_scale) s.loss_scale = loss_scale_state(s.graph);
  const Factors factors(n);
  std::vector<TrainedParameter> trained;
  for (const auto& [name, gradient] : pieces.gradients) {
    const ValueInfo& parameter = pieces.graph.info(pieces.graph.find(name));
    const Value state = s.graph.state(name, parameter.desc, parameter.state);
    trained.push_back(factors.trained(s.graph, state, s.graph.state(kGradientSum + name, pieces.graph.desc(gradient))));
  }
  add_optimizers(s, optimizer, settings, trained);
  return s;
}

StepGraph evaluation_graph(const NetworkSettings& n) {
  StepGraph s;
  add_images(s, n, false);
  add_network(s, n, false);
  fuse_for_inference(s.graph);
  add_loss(s, n, nullptr, kEvalSums);
  if (s.probabilities) s.graph.output(s.probabilities, "probabilities");
  return s;
}

}  // namespace vkfer
