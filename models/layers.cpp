#include "models/layers.h"

#include <algorithm>

#include "graph/ops/ops.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

std::string bias_rule(int64_t fan_in) { return "bias_uniform:" + std::to_string(fan_in); }

// {before, after} for one side of `in` pixels, so that ceil(in / stride) come out.
std::pair<int64_t, int64_t> same_padding(int64_t in, const ConvSpec& spec) {
  const int64_t out = (in + spec.stride - 1) / spec.stride, total = std::max<int64_t>(0, (out - 1) * spec.stride + spec.kernel - in);
  return {total / 2, total - total / 2};
}

// {top, left, bottom, right}. With stride 1 SAME is what the padded layers do anyway.
std::vector<int64_t> padding(const Shape& in, const ConvSpec& spec, bool same) {
  if (!same || spec.stride == 1 || spec.pad == 0) return std::vector<int64_t>(4, spec.pad);
  const auto [top, bottom] = same_padding(in.h(), spec);
  const auto [left, right] = same_padding(in.w(), spec);
  return {top, left, bottom, right};
}

Value as(Graph& graph, Value x, DType type, const std::string& label) {
  if (graph.desc(x).dtype == type) return x;
  return graph.add1(ops::cast, {{"to", dtype_name(type)}}, {x}, label);
}

}  // namespace

Value Layers::parameter(const std::string& name, const Shape& shape, StateInfo info) {
  info.trainable = !frozen(name);
  return graph_.state(name, {shape, DType::f32}, std::move(info));
}

void Layers::check_freeze(const std::string& model) const {
  std::vector<std::string> layers;
  bool any = false;
  for (Value v : graph_.states()) {
    const ValueInfo& info = graph_.info(v);
    layers.push_back(info.name.substr(0, info.name.rfind('.')));
    any = any || info.state.trainable;
  }
  if (!freeze_.backbone() && freeze_.blocks() > blocks_)
    fail("--freeze", "got blocks:{}, but {} has {} blocks. Fix: --freeze backbone, or fewer", freeze_.blocks(), model, blocks_);
  for (const std::string& pattern : freeze_.patterns()) {
    const auto fits = [&](Value v) { return matches_layer(pattern, graph_.info(v).name); };
    if (std::ranges::any_of(graph_.states(), fits)) continue;
    const std::string near = nearest_name(pattern, layers);
    fail("--freeze", "got '{}', but {} has no layer of that name. Fix: {}", pattern, model,
         near.empty() ? fmt::format("vkfer dump {} lists them", model) : "did you mean " + near + "?");
  }
  if (!any) fail("--freeze", "got '{}', which leaves nothing of {} to train. Fix: freeze less", options_.freeze, model);
}

Value Layers::begin(Value images) { return as(graph_, images, options_.storage, "input.cast"); }

Value Layers::conv(const std::string& name, Value x, const ConvSpec& spec) {
  const int64_t in = graph_.shape(x).c(), per_group = in / spec.groups, k = spec.kernel;
  Value filter = parameter(name + ".weight", {k, k, per_group, spec.out}, {.layout = Layout::filter, .init = spec.init});
  std::vector<Value> inputs = {x, as(graph_, filter, options_.storage, name + ".cast")};
  if (spec.bias) {
    const int64_t fan_in = k * k * per_group;
    inputs.push_back(parameter(name + ".bias", {spec.out}, {.init = spec.bias_init.empty() ? bias_rule(fan_in) : spec.bias_init}));
  }
  const std::vector<int64_t> stride(2, spec.stride), pad = padding(graph_.shape(x), spec, options_.same_padding);
  return graph_.add1(ops::conv2d, {{"stride", stride}, {"pad", pad}, {"groups", spec.groups}, {"bias", spec.bias}},
                     std::move(inputs), name);
}

Value Layers::depthwise(const std::string& name, Value x, ConvSpec spec) {
  spec.out = spec.groups = int(graph_.shape(x).c());
  return conv(name, x, spec);
}

Value Layers::batch_norm(const std::string& name, Value x, const BatchNormSpec& spec, const Shape& flattened) {
  const TensorDesc channels{{graph_.shape(x).last()}, DType::f32};
  StateInfo info;
  if (flattened.rank()) info.layout = Layout::linear_flatten, info.flatten_from = flattened;
  const auto starting = [&](const char* init) {
    info.init = init;
    return info;
  };
  const Value weight = parameter(name + ".weight", channels.shape, starting("ones")), bias = parameter(name + ".bias", channels.shape, starting("zeros"));
  const Value mean = graph_.state(name + ".running_mean", channels, starting("zeros")), var = graph_.state(name + ".running_var", channels, starting("ones"));
  return batch_norm(name, x, {weight, bias, mean, var}, spec);
}

Value Layers::batch_norm(const std::string& label, Value x, const NormStates& s, const BatchNormSpec& spec) {
  std::vector<Value> inputs = {x, s.weight, s.bias, s.mean, s.var};
  const double eps = options_.batch_norm.eps > 0 ? options_.batch_norm.eps : spec.eps;
  const double momentum = options_.batch_norm.momentum > 0 ? options_.batch_norm.momentum : spec.momentum;
  if (!options_.training || options_.frozen_batch_norm || frozen(graph_.info(s.weight).name))
    return graph_.add1(ops::batch_norm_eval, {{"eps", eps}}, std::move(inputs), label);
  auto out = graph_.add(ops::batch_norm, {{"eps", eps}, {"momentum", momentum}}, std::move(inputs), label);
  graph_.update(s.mean, out[3]);
  graph_.update(s.var, out[4]);
  return out[0];
}

Value Layers::activation(const OpDef& op, const std::string& label, Value x) { return graph_.add1(op, {}, {x}, label); }

Value Layers::add(const std::string& label, Value a, Value b) { return graph_.add1(ops::add, {}, {a, b}, label); }

Value Layers::max_pool(const std::string& label, Value x, int kernel, int stride, int pad) {
  const std::vector<int64_t> kernels(2, kernel), strides(2, stride), pads(4, pad);
  return graph_.add1(ops::max_pool, {{"kernel", kernels}, {"stride", strides}, {"pad", pads}}, {x}, label);
}

Value Layers::adaptive_avg_pool(const std::string& label, Value x, int size) {
  if (shape(x).h() == size && shape(x).w() == size) return x;
  return graph_.add1(ops::adaptive_avg_pool, {{"size", std::vector<int64_t>(2, size)}}, {x}, label);
}

Value Layers::global_avg_pool(const std::string& label, Value x) {
  return graph_.add1(ops::global_avg_pool, {}, {x}, label);
}

Value Layers::global_max_pool(const std::string& label, Value x) {
  return graph_.add1(ops::global_max_pool, {}, {x}, label);
}

Value Layers::squeeze_excite(const std::string& name, Value x, int squeezed, const std::string& init) {
  const int64_t c = shape(x).c();
  const StateInfo filter{.layout = Layout::filter, .init = init}, bias{.init = "zeros"};
  return graph_.add(ops::squeeze_excite, {{"activation", "silu"}},
                    {x, parameter(name + ".fc1.weight", {1, 1, c, squeezed}, filter), parameter(name + ".fc1.bias", {squeezed}, bias),
                     parameter(name + ".fc2.weight", {1, 1, squeezed, c}, filter), parameter(name + ".fc2.bias", {c}, bias)},
                    name)[0];
}

Value Layers::flatten(const std::string& label, Value x) { return graph_.add1(ops::flatten, {}, {x}, label); }

Value Layers::dropout(const std::string& label, Value x, double p) {
  if (!random(p)) return x;
  return graph_.add1(ops::dropout, {{"p", p}, {"salt", next_salt(label)}}, {x, step_}, label);
}

Value Layers::add_stochastic(const std::string& label, Value shortcut, Value y, double p) {
  if (!random(p)) return add(label, shortcut, y);
  return graph_.add1(ops::stochastic_depth, {{"p", p}, {"salt", next_salt(label)}, {"residual", 1}}, {y, step_, shortcut}, label);
}

bool Layers::random(double p) const { return options_.training && options_.stochastic && p > 0; }

int Layers::next_salt(const std::string& label) {
  if (!step_) fail("model", "'{}': step input: got none, expected one, as it drops at random. Fix: give one", label);
  return ++salts_;
}

Value Layers::linear(const std::string& name, Value x, int out, const std::string& init, const std::string& bias_init,
                     const Shape& flattened) {
  x = as(graph_, x, DType::f32, name + ".cast");
  const int64_t in = graph_.shape(x).last();
  const Layout layout = flattened.rank() ? Layout::linear_flatten : Layout::linear;
  Value weight = parameter(name + ".weight", {in, out}, {.layout = layout, .init = init, .flatten_from = flattened});
  Value bias = parameter(name + ".bias", {out}, {.init = bias_init.empty() ? bias_rule(in) : bias_init});
  return graph_.add1(ops::linear, {{"bias", true}}, {x, weight, bias}, name);
}

}  // namespace vkfer
