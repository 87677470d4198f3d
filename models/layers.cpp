#include "models/layers.h"

#include <algorithm>

#include "graph/ops/ops.h"

namespace vkfer {
namespace {

StateInfo trained(Layout layout, std::string init) { return {.layout = layout, .trainable = true, .init = std::move(init)}; }

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

Value Layers::begin(Value images) { return as(graph_, images, options_.storage, "input.cast"); }

Value Layers::conv(const std::string& name, Value x, const ConvSpec& spec) {
  const int64_t in = graph_.shape(x).c(), per_group = in / spec.groups, k = spec.kernel;
  Value filter = graph_.state(name + ".weight", {{k, k, per_group, spec.out}, DType::f32}, trained(Layout::filter, spec.init));
  std::vector<Value> inputs = {x, as(graph_, filter, options_.storage, name + ".cast")};
  if (spec.bias) {
    const int64_t fan_in = k * k * per_group;
    inputs.push_back(graph_.state(name + ".bias", {{spec.out}, DType::f32}, trained(Layout::plain, bias_rule(fan_in))));
  }
  const std::vector<int64_t> stride(2, spec.stride), pad = padding(graph_.shape(x), spec, options_.same_padding);
  return graph_.add1(ops::conv2d, {{"stride", stride}, {"pad", pad}, {"groups", spec.groups}, {"bias", spec.bias}},
                     std::move(inputs), name);
}

Value Layers::depthwise(const std::string& name, Value x, ConvSpec spec) {
  spec.out = spec.groups = int(graph_.shape(x).c());
  return conv(name, x, spec);
}

Value Layers::batch_norm(const std::string& name, Value x, const BatchNormSpec& spec) {
  const TensorDesc channels{{graph_.shape(x).c()}, DType::f32};
  Value gamma = graph_.state(name + ".weight", channels, trained(Layout::plain, "ones"));
  Value beta = graph_.state(name + ".bias", channels, trained(Layout::plain, "zeros"));
  Value mean = graph_.state(name + ".running_mean", channels, {.init = "zeros"});
  Value var = graph_.state(name + ".running_var", channels, {.init = "ones"});
  std::vector<Value> inputs = {x, gamma, beta, mean, var};
  if (!options_.training || options_.frozen_batch_norm)
    return graph_.add1(ops::batch_norm_eval, {{"eps", spec.eps}}, std::move(inputs), name);
  auto out = graph_.add(ops::batch_norm, {{"eps", spec.eps}, {"momentum", spec.momentum}}, std::move(inputs), name);
  graph_.update(mean, out[3]);
  graph_.update(var, out[4]);
  return out[0];
}

Value Layers::activation(const OpDef& op, const std::string& label, Value x) { return graph_.add1(op, {}, {x}, label); }

Value Layers::add(const std::string& label, Value a, Value b) { return graph_.add1(ops::add, {}, {a, b}, label); }

Value Layers::max_pool2(const std::string& label, Value x) {
  const std::vector<int64_t> two(2, 2);
  return graph_.add1(ops::max_pool, {{"kernel", two}, {"stride", two}}, {x}, label);
}

Value Layers::global_avg_pool(const std::string& label, Value x) {
  return graph_.add1(ops::global_avg_pool, {}, {x}, label);
}

Value Layers::flatten(const std::string& label, Value x) { return graph_.add1(ops::flatten, {}, {x}, label); }

Value Layers::dropout(const std::string& label, Value x, double p) {
  if (!options_.training || p <= 0) return x;
  return graph_.add1(ops::dropout, {{"p", p}, {"salt", ++dropouts_}}, {x, step_}, label);
}

Value Layers::linear(const std::string& name, Value x, int out, const std::string& init, const std::string& bias_init,
                     const Shape& flattened) {
  x = as(graph_, x, DType::f32, name + ".cast");
  const int64_t in = graph_.shape(x).last();
  StateInfo info = trained(flattened.rank() ? Layout::linear_flatten : Layout::linear, init);
  info.flatten_from = flattened;
  Value weight = graph_.state(name + ".weight", {{in, out}, DType::f32}, info);
  Value bias = graph_.state(name + ".bias", {{out}, DType::f32},
                            trained(Layout::plain, bias_init.empty() ? bias_rule(in) : bias_init));
  return graph_.add1(ops::linear, {{"bias", true}}, {x, weight, bias}, name);
}

}  // namespace vkfer
