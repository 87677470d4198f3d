#include "tools/train/trace.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "graph/executor.h"
#include "models/init.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tools/train/precision.h"
#include "tools/train/step_graph.h"
#include "tools/train/stepper.h"

namespace vkfer {
namespace {

void check(const TraceOptions& o) {
  if (o.steps < 1) fail("--steps", "got {}, expected 1 or more", o.steps);
  if (o.batch < 1 || int64_t(o.labels.size()) != (o.classes > 0 ? o.batch : 0))
    fail("--labels", "got {} labels, expected {}: one for each image, none without classes", o.labels.size(), o.classes > 0 ? o.batch : 0);
  if (o.affect.size() != (o.valence_arousal ? 2 * size_t(o.batch) : 0))
    fail("--targets", "got {} numbers, expected {}: valence and arousal of each image", o.affect.size(), o.valence_arousal ? 2 * o.batch : 0);
  for (const int64_t label : o.labels)
    if (label >= o.classes) fail("--labels", "got label {}, expected below {}. Fix: --num-classes", label, o.classes);
  const size_t expected = size_t(o.batch) * size_t(o.channels) * size_t(o.size) * size_t(o.size);
  if (o.x.size() != expected)
    fail("--input", "got {} numbers, expected {} ({}x{}x{}x{})", o.x.size(), expected, o.batch, o.channels, o.size, o.size);
  for (const double v : {o.lr, o.momentum, o.weight_decay})
    if (!std::isfinite(v) || v < 0) fail("trace", "got {} for --lr, --momentum or --weight-decay, expected 0 or more", v);
}

std::vector<float> to_nhwc(const TraceOptions& o) {
  const size_t plane = size_t(o.size) * size_t(o.size), channels = size_t(o.channels);
  std::vector<float> out(o.x.size());
  for (size_t n = 0; n < size_t(o.batch); ++n)
    for (size_t c = 0; c < channels; ++c)
      for (size_t i = 0; i < plane; ++i) out[(n * plane + i) * channels + c] = o.x[(n * channels + c) * plane + i];
  return out;
}

void set_values(WeightFile& file, const std::string& name, const std::vector<float>& values, std::vector<int64_t> shape) {
  file.set(name, std::move(shape), values);
}

// The network's own states under "<prefix>" for parameters and "buffer." for running statistics.
void add_states(WeightFile& to, const Graph& graph, States& states, const std::string& parameters,
                const std::string& buffers) {
  WeightFile all;
  export_weights(graph, states, all);
  for (auto& [name, tensor] : all.tensors) {
    const Value v = graph.find(name);
    const bool is_parameter = v && graph.info(v).state.trainable;
    to.tensors[(is_parameter ? parameters : buffers) + name] = std::move(tensor);
  }
}

// Everything one trace needs on the device.
class Trace {
 public:
  Trace(Device& device, const TraceOptions& o, const NetworkSettings& network, const OptimizerDef& optimizer)
      : o_(o), network_(network), optimizer_(optimizer), states_(device), train_(training_graph(network, optimizer, settings(), true)),
        eval_(evaluation_graph(network)) {
    const Target target = target_for(device.info());
    Plan train_plan = make_plan(train_.graph, target), eval_plan = make_plan(eval_.graph, target);
    train_executor_ = std::make_unique<Executor>(device, std::move(train_.graph), std::move(train_plan), states_);
    eval_executor_ = std::make_unique<Executor>(device, std::move(eval_.graph), std::move(eval_plan), states_);
  }

  void start(WeightFile& out) {
    initialise(graph(), states_, o_.seed);
    if (o_.weights)
      load_weights(*o_.weights, eval_executor_->graph(), states_, {.classifier = network_.classifier()});
    else
      add_states(out, graph(), states_, "init.", "init.");
    write_batch(*train_executor_, train_);
    write_batch(*eval_executor_, eval_);
    if (train_.step) train_executor_->write(train_.step, std::vector<int32_t>(5, 0));
  }

  void evaluate(WeightFile& out) {
    eval_executor_->run();
    add_answers(*eval_executor_, eval_, ".eval", out);
  }

  // The loss; fills `out` with logits and gradients at step 0.
  float step(int index, WeightFile& out) {
    const Hyper hyper = optimizer_.hyper(settings(), o_.lr, index + 1);
    train_executor_->write(train_.hyper, std::span<const float>(hyper));
    const float scale = run_scaled();
    if (index == 0) {
      add_answers(*train_executor_, train_, "", out);
      for (const auto& [name, value] : train_.gradients) {
        const ValueInfo& info = graph().info(graph().find(name));
        std::vector<float> gradient = train_executor_->read(value);
        for (float& g : gradient) g /= scale;
        set_values(out, "grad." + name, to_torch(info, gradient), torch_shape(info));
      }
    }
    return train_executor_->read_scalar(train_.loss);
  }

  // Runs the step and returns the loss scale of its gradients. One that overflows in 16 bits is taken back and done again with the
  // smaller scale: a trace shows steps that count.
  float run_scaled() {
    if (!train_.loss_scale) {
      train_executor_->run();
      return 1;
    }
    std::map<std::string, std::vector<std::byte>> before;
    for (const std::string& name : states_.names()) before[name] = states_.read_bytes(name);
    const auto is_scale = [](const std::string& name) { return name.starts_with(kLossScale); };
    const float skipped = states_.read(kLossScaleCounts)[1];
    for (;;) {
      const float scale = states_.read(kLossScale)[0];
      train_executor_->run();
      if (states_.read(kLossScaleCounts)[1] == skipped) return scale;
      if (scale < 1) fail("trace", "the gradients are not finite at any loss scale. Fix: lower --lr, or --precision fp32");
      states_.write(kLossScaleCounts, std::vector<float>{0, skipped});
      for (const auto& [name, bytes] : before)
        if (!is_scale(name)) states_.write_bytes(name, bytes);
    }
  }

  void finish(WeightFile& out) { add_states(out, graph(), states_, "param.", "buffer."); }

 private:
  const Graph& graph() const { return train_executor_->graph(); }

  OptimizerSettings settings() const {
    OptimizerSettings s;
    s.momentum = o_.momentum;
    s.nesterov = o_.nesterov;
    s.weight_decay = o_.weight_decay;
    return s;
  }

  void add_answers(Executor& executor, const StepGraph& s, const std::string& suffix, WeightFile& out) const {
    if (s.logits) set_values(out, "logits" + suffix, executor.read(s.logits), {o_.batch, o_.classes});
    if (!s.valence.prediction) return;
    set_values(out, "valence" + suffix, executor.read(s.valence.prediction), {o_.batch});
    set_values(out, "arousal" + suffix, executor.read(s.arousal.prediction), {o_.batch});
  }

  void write_batch(Executor& executor, const StepGraph& s) {
    executor.write(s.images, to_nhwc(o_));
    if (s.valence.prediction) {
      std::vector<float> valence, arousal;
      for (size_t i = 0; i < o_.affect.size(); i += 2) valence.push_back(o_.affect[i]), arousal.push_back(o_.affect[i + 1]);
      write_targets(executor, s.valence, valence);
      write_targets(executor, s.arousal, arousal);
    }
    if (!s.labels) return;
    std::vector<int32_t> labels;
    for (const int64_t label : o_.labels) labels.push_back(int32_t(std::max<int64_t>(label, -1)));
    executor.write(s.labels, labels);
    executor.write(s.class_weights, std::vector<float>(size_t(o_.classes), 1.0f));
  }

  const TraceOptions& o_;
  const NetworkSettings network_;
  const OptimizerDef& optimizer_;
  States states_;
  StepGraph train_, eval_;  // their graphs move into the executors
  std::unique_ptr<Executor> train_executor_, eval_executor_;
};

}  // namespace

WeightFile run_trace(Device& device, const TraceOptions& options) {
  TraceOptions o = options;
  const ModelInfo& model = find_model(o.model);
  const OptimizerDef& optimizer = find_optimizer(o.optimizer);
  if (o.size == 0) o.size = model.default_size;
  check(o);
  NetworkSettings network;
  network.model = &model;
  network.size = o.size;
  network.channels = o.channels;
  network.classes = o.classes;
  network.batch = o.batch;
  network.pixel_channels = 0;
  network.stochastic = false;
  network.head = o.head;
  network.valence_arousal = o.valence_arousal;
  network.label_smoothing = o.label_smoothing;
  network.frozen_batch_norm = o.frozen_bn;
  network.storage = storage_of(resolve_precision(o.precision, device.info(), target_for(device.info())));
  network.same_padding = o.same_padding;
  network.batch_norm = o.batch_norm;

  WeightFile out;
  out.metadata = {{"model", model.name}, {"optimizer", std::string(optimizer.name)}};
  Trace trace(device, o, network, optimizer);
  trace.start(out);
  trace.evaluate(out);
  std::vector<float> losses;
  for (int i = 0; i < o.steps; ++i) losses.push_back(trace.step(i, out));
  set_values(out, "loss", losses, {o.steps});
  trace.finish(out);
  return out;
}

}  // namespace vkfer
