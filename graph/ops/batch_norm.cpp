// Batch normalisation (Ioffe and Szegedy, 2015) with the addition and the activation that follow it, its gradient, and its folding
// into a convolution. Training keeps mean and invstd of the batch; evaluation and frozen layers use the running statistics.
#include <cmath>
#include <numeric>

#include "graph/ops/activation.h"
#include "graph/ops/conv_geometry.h"
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/batch_norm.h"

namespace vkfer::ops {
namespace {

constexpr int64_t kMostSummed = 1024;  // elements one lane adds up: bounds the rounding error
constexpr int64_t kMostColumns = 96, kMostParts = 12;  // units that a workgroup takes at once, 1.5 KB of vec4; columns.glsl
constexpr double kEps = 1e-5, kMomentum = 0.1;

double eps_of(const Attrs& a) { return a.number("eps", kEps); }
bool has_residual(const Attrs& a) { return a.integer("residual", 0) != 0; }
Activation activation_of(const Attrs& a) { return activation_from_name(a.text("activation", "none"), "batch_norm"); }

// ---- launches over [rows, c] ---------------------------------------------------------------------------------------

// How the kernels walk x: shaders/include/columns.glsl.
struct Walk {
  int64_t per_image, c, unit, row_units, span, images, parts = 1;
  Walk(const Lowering& l, const TensorDesc& x)
      : per_image(x.shape.rows() / x.shape[0]), c(x.shape.last()), unit(c % 4 ? 1 : 4), row_units(c / unit),
        span(std::lcm(row_units, int64_t(l.target.workgroup))), images(x.shape[0]) {
    const int64_t pieces = span / int64_t(l.target.workgroup);
    for (int64_t k = 2; k <= std::min(kMostParts, kMostColumns / int64_t(l.target.workgroup)); ++k)
      if (pieces % k == 0) parts = k;
    groups_per_chunk = pieces / parts;
  }
  int64_t groups_per_chunk;
  int64_t rows() const { return images * per_image; }
  int64_t steps(Slice s) const { return divide_round_up(s.count * per_image * row_units, span); }
  int64_t parts_per_chunk() const { return span / row_units; }
};

// Steps of a chunk: for reductions, so that the chunks fill the device and no sum grows long; for maps, a lane's fair share.
int64_t reduction_chunk(const Lowering& l, const Walk& w, Slice batch) {
  const int64_t steps = w.steps(batch), wanted = filling_slices(l, w.span, w.parts_per_chunk());
  return divide_round_up(steps, std::min(steps, std::max(wanted, divide_round_up(steps, kMostSummed))));
}
int64_t map_chunk(const Lowering& l, const Walk& w) {
  // A workgroup's start costs a CPU driver as much as dozens of steps; a GPU wants the workgroups instead.
  const int64_t most = std::max<int64_t>(1, int64_t(l.target.vectors_per_invocation) * l.target.vectors_per_invocation / 2);
  const int64_t fair = w.steps({0, w.images}) * w.groups_per_chunk / (4 * int64_t(l.target.parallel_groups));
  return std::clamp<int64_t>(fair, 1, most);
}

// One launch a batch slice; run(slice, push) dispatches it. Returns the number of chunks in all.
template <class Run>
int64_t for_each_launch(const Lowering& l, const Walk& w, const std::vector<Slice>& batches, int64_t chunk_steps, Run run) {
  int64_t first = 0;
  for (Slice s : batches) {
    const int64_t chunks = divide_round_up(w.steps(s), chunk_steps);
    params::BatchNorm p{};
    const int64_t units = s.count * w.per_image * w.row_units, groups = w.groups_per_chunk;
    p.span = uint32_t(w.span), p.whole = uint32_t(units / w.span), p.tail_units = uint32_t(units % w.span);
    p.chunk_steps = uint32_t(chunk_steps), p.parts = uint32_t(groups), p.row_units = uint32_t(w.row_units);
    p.inverse_parts = 1.0f / float(groups), p.inverse_row_units = 1.0f / float(w.row_units);
    p.groups = uint32_t(chunks * groups), p.first_chunk = uint32_t(first);
    p.eps = float(eps_of(l.attrs())), p.inverse_rows = 1.0f / float(w.rows());
    run(s, p);
    first += chunks;
  }
  return first;
}

int64_t count_chunks(const Lowering& l, const Walk& w, const std::vector<Slice>& batches, int64_t chunk_steps) {
  return for_each_launch(l, w, batches, chunk_steps, [](Slice, const params::BatchNorm&) {});
}

// Launches one of the kernels that walk. Its specialization constants: the workgroup size, the shader's own from 1 on, and
// kParts and kEveryGroup as numbers 7 and 8.
void dispatch_walk(Lowering& l, const Walk& w, std::string_view stem, std::initializer_list<uint32_t> own, std::vector<Binding> bindings,
                   const params::BatchNorm& p) {
  const auto groups = l.linear_groups(p.groups);
  std::vector<uint32_t> constants{l.target.workgroup};
  constants.insert(constants.end(), own);
  constants.resize(9);
  constants[7] = uint32_t(w.parts), constants[8] = groups[0] * groups[1] == p.groups;
  l.dispatch(l.channel_module(stem, l.in_desc(0).dtype, {w.c}, true), std::move(constants), std::move(bindings), p, groups);
}

// y = activation((x - mean) * gamma * invstd + beta + residual); spread: invstd, or the variance.
void lower_apply(Lowering& l, Binding mean, Binding spread, bool variance) {
  const Walk w(l, l.in_desc(0));
  const bool residual = has_residual(l.attrs());
  for_each_launch(l, w, l.batch_slices({l.in_desc(0)}), map_chunk(l, w), [&](Slice s, const params::BatchNorm& p) {
    dispatch_walk(l, w, "batch_norm_apply", {variance, residual, uint32_t(activation_of(l.attrs()))},
                  {l.in(0, s), l.in(1), l.in(2), mean, spread, residual ? l.in(5, s) : l.in(0, s), l.out(0, s)}, p);
  });
}

// ---- training forward ----------------------------------------------------------------------------------------------

void check_inputs(const InputCheck& check, std::span<const TensorDesc> in, size_t first_vector, std::initializer_list<std::string_view> names) {
  check.storage(0, "x"), check.not_empty(0, "x");
  check.require(in[0].shape.rank() >= 2, "x is {}, expected [..., c]", in[0].to_string());
  for (auto name : names) {
    check.shape(first_vector, name, Shape{in[0].shape.last()});
    check.dtype(first_vector++, name, DType::f32);
  }
}

std::vector<TensorDesc> train_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("batch_norm", label, in);
  check.count(5 + size_t(has_residual(attrs)));
  check_inputs(check, in, 1, {"gamma", "beta", "running_mean", "running_var"});
  if (has_residual(attrs)) check.same_shape(5, "residual", 0, "x"), check.same_type(5, "residual", 0, "x");
  check.require(in[0].shape.rows() > 1, "x is {}: one value a channel has no variance to train on. Fix: use a larger --batch or --size",
                in[0].to_string());
  const TensorDesc c{Shape{in[0].shape.last()}};
  return {in[0], c, c, c, c};
}

void train_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t c = size_t(in[0].shape.last()), rows = in[0].data.size() / c;
  const double momentum = attrs.number("momentum", kMomentum);
  for (size_t k = 0; k < c; ++k) {
    double mean = 0, m2 = 0;
    for (size_t i = 0; i < rows; ++i) mean += in[0][i * c + k] / double(rows);
    for (size_t i = 0; i < rows; ++i) m2 += (in[0][i * c + k] - mean) * (in[0][i * c + k] - mean);
    const double invstd = 1 / std::sqrt(m2 / double(rows) + eps_of(attrs));
    for (size_t i = k; i < rows * c; i += c) {
      const double z = (in[0][i] - mean) * invstd * in[1][k] + in[2][k] + (has_residual(attrs) ? in[5][i] : 0);
      out[0][i] = activate(activation_of(attrs), z);
    }
    out[1][k] = mean, out[2][k] = invstd;
    const auto follow = [&](double old, double now) { return std::isfinite(now) ? (1 - momentum) * old + momentum * now : old; };
    out[3][k] = follow(in[3][k], mean);
    out[4][k] = follow(in[4][k], m2 / double(rows - 1));
  }
}

// Parts of the sums, and rows that an invocation walks.
std::vector<Attrs> candidates(const Target& t) { return joined({parallel_choices(t), vector_choices(t)}); }

// ---- few rows: everything in one launch ------------------------------------------------------------------------------

// A launch costs as much as thousands of elements. Where the channels alone fill the device, each lane takes all rows of its own.
struct Once {
  bool fits = false;
  uint32_t parts = 1;
  params::BatchNormOnce push{};
  std::array<uint32_t, 3> groups{};

  explicit Once(const Lowering& l) {
    const Walk w(l, l.in_desc(0));
    const int64_t pieces = w.row_units / l.target.workgroup;
    const auto least = std::max<int64_t>(1, l.target.parallel_groups / 8);  // workgroups
    if (w.unit != 4 || w.row_units % l.target.workgroup || w.rows() > kMostSummed || pieces < least) return;
    if (l.batch_slices({l.in_desc(0)}).size() > 1) return;
    for (int64_t k = 2; k <= std::min(kMostParts, kMostColumns / int64_t(l.target.workgroup)); ++k)
      if (pieces % k == 0 && pieces / k >= 2 * least) parts = uint32_t(k);
    fits = true;
    push = {uint32_t(w.rows()), uint32_t(w.row_units), uint32_t(pieces / parts), float(eps_of(l.attrs())), float(l.attrs().number("momentum", kMomentum))};
    groups = l.linear_groups(push.groups);
  }

  void dispatch(Lowering& l, std::string_view stem, std::vector<uint32_t> own, std::vector<Binding> bindings) const {
    std::vector<uint32_t> constants{l.target.workgroup};
    constants.insert(constants.end(), own.begin(), own.end());
    constants.resize(9);
    constants[7] = parts, constants[8] = groups[0] * groups[1] == push.groups;
    l.dispatch(l.module(stem, l.in_desc(0).dtype, true), std::move(constants), std::move(bindings), push, groups);
  }
};

void train_lower(Lowering& l) {
  const Walk w(l, l.in_desc(0));
  if (const Once once(l); once.fits) {
    const bool residual = has_residual(l.attrs());
    return once.dispatch(l, "batch_norm_once", {residual, uint32_t(activation_of(l.attrs()))},
                         {l.in(0), l.in(1), l.in(2), l.in(3), l.in(4), l.in(residual ? 5 : 0), l.out(0), l.out(1), l.out(2), l.out(3), l.out(4)});
  }
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0)});
  const int64_t chunk = reduction_chunk(l, w, batches.front()), parts = count_chunks(l, w, batches, chunk) * w.parts_per_chunk();
  const size_t bytes = size_t(parts * w.c) * 4;
  const Binding mean = l.workspace(bytes), m2 = l.workspace(bytes), size = l.workspace(bytes);
  for_each_launch(l, w, batches, chunk, [&](Slice s, const params::BatchNorm& p) {
    dispatch_walk(l, w, "batch_norm_stats", {}, {l.in(0, s), mean, m2, size}, p);
  });
  const params::BatchNormFinish p{uint32_t(w.c), uint32_t(parts), float(eps_of(l.attrs())), float(l.attrs().number("momentum", kMomentum))};
  l.dispatch("batch_norm_finish.f32", {l.target.workgroup}, {mean, m2, size, l.in(3), l.in(4), l.out(1), l.out(2), l.out(3), l.out(4)}, p,
             groups_for_single(l, w.c));
  lower_apply(l, l.out(1), l.out(2), false);
}

// The gradient node's residual input and output exist when the activation needs them; otherwise dresidual is dy itself.
Attrs gradient_attrs(Gradient& g, bool residual_in_kernel) {
  return Attrs{{"eps", eps_of(g.attrs())}, {"activation", g.attrs().text("activation", "none")}, {"residual", residual_in_kernel}};
}

void train_gradient(Gradient& g) {
  if (!g.grad(0)) return;
  const bool residual = has_residual(g.attrs()), in_kernel = residual && activation_of(g.attrs()) != Activation::none;
  std::vector<Value> in{g.in(0), g.grad(0), g.in(1), g.in(2), g.out(1), g.out(2)};
  if (in_kernel) in.push_back(g.in(5));
  const std::vector<Value> out = g.add(batch_norm_grad, gradient_attrs(g, in_kernel), in, "grad");
  g.set(0, out[0]), g.set(1, out[1]), g.set(2, out[2]);
  if (residual) g.set(5, in_kernel ? out[3] : g.grad(0));
}

// y once more: the statistics are there.
Value train_again(Graph& g, const Node& n, int output) {
  if (output != 0) return {};
  std::vector<Value> in{n.in[0], n.in[1], n.in[2], n.out[1], n.out[2]};
  if (has_residual(n.attrs)) in.push_back(n.in[5]);
  return g.add1(batch_norm_apply, {{"residual", has_residual(n.attrs)}, {"activation", n.attrs.text("activation", "none")}}, in, n.label + "/again");
}

std::vector<Case> train_cases() {
  auto bn = [](Shape x, Attrs attrs = {}) {
    const TensorDesc c{Shape{x.last()}};
    const bool residual = has_residual(attrs);
    Case k{{{x}, c, c, c, c}, std::move(attrs), {Fill::real(-2, 3), Fill::real(0.5, 2), Fill::real(), Fill::real(), Fill::real(0.5, 2)}};
    if (residual) k.in.push_back({x}), k.fill.push_back(Fill::real());
    return k;
  };
  return {
      bn({2, 1, 1, 1}), bn({3, 4, 5, 8}), bn({2, 5, 3, 7}), bn({9, 6, 5, 12}, {{"activation", "relu6"}, {"momentum", 0.25}}),
      bn({2, 7, 5, 16}, {{"residual", 1}}), bn({2, 4, 7, 8}, {{"residual", 1}, {"activation", "relu"}, {"eps", 1e-3}}),
      bn({3, 5, 3, 6}, {{"residual", 1}, {"activation", "silu"}}), bn({40, 9}, {{"activation", "hardswish"}}), bn({5, 8}),
      bn({3, 4, 4, 20}, {{"activation", "sigmoid"}}), bn({2, 3, 3, 64}, {{"activation", "relu6"}}), bn({3, 5, 5, 96}, {{"residual", 1}, {"activation", "relu"}}),
      bn({2, 3, 3, 192}, {{"residual", 1}}), bn({2, 3, 3, 384}, {{"activation", "silu"}, {"momentum", 0.25}}),
  };
}

// ---- gradient, batch or running statistics -------------------------------------------------------------------------

// (x, dy, gamma, beta, mean, invstd | variance (, residual)) -> dx, dgamma, dbeta (, dresidual)
template <OpName kOp>
std::vector<TensorDesc> grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check(kOp.text, label, in);
  check.count(6 + size_t(has_residual(attrs)));
  check_inputs(check, in, 2, {"gamma", "beta", "mean", "spread"});
  check.same_shape(1, "dy", 0, "x"), check.same_type(1, "dy", 0, "x");
  if (has_residual(attrs)) check.same_shape(6, "residual", 0, "x"), check.same_type(6, "residual", 0, "x");
  const TensorDesc c{Shape{in[0].shape.last()}};
  std::vector<TensorDesc> out{in[0], c, c};
  if (has_residual(attrs)) out.push_back(in[0]);
  return out;
}

template <bool kRunning>
void grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t c = size_t(in[0].shape.last()), rows = in[0].data.size() / c;
  const bool residual = has_residual(attrs);
  for (size_t k = 0; k < c; ++k) {
    const double gamma = in[2][k], beta = in[3][k], mean = in[4][k], invstd = kRunning ? 1 / std::sqrt(in[5][k] + eps_of(attrs)) : in[5][k];
    std::vector<double> g(rows), xhat(rows);
    for (size_t i = 0; i < rows; ++i) {
      const size_t at = i * c + k;
      xhat[i] = (in[0][at] - mean) * invstd;
      g[i] = in[1][at] * activate_slope(activation_of(attrs), xhat[i] * gamma + beta + (residual ? in[6][at] : 0));
      out[1][k] += g[i] * xhat[i];
      out[2][k] += g[i];
      if (residual) out[3][at] = g[i];
    }
    for (size_t i = 0; i < rows; ++i)
      out[0][i * c + k] = gamma * invstd * (kRunning ? g[i] : g[i] - (out[2][k] + xhat[i] * out[1][k]) / double(rows));
  }
}

template <bool kRunning>
void grad_lower(Lowering& l) {
  const Walk w(l, l.in_desc(0));
  const bool residual = has_residual(l.attrs());
  const uint32_t activation = uint32_t(activation_of(l.attrs()));
  if (const Once once(l); once.fits)
    return once.dispatch(l, "batch_norm_grad_once", {kRunning, residual, activation, residual},
                         {l.in(0), l.in(1), l.in(2), l.in(3), l.in(4), l.in(5), l.in(residual ? 6 : 0), l.out(1), l.out(2), l.out(0), l.out(residual ? 3 : 0)});
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0)});
  const int64_t chunk = reduction_chunk(l, w, batches.front()), parts = count_chunks(l, w, batches, chunk) * w.parts_per_chunk();
  const bool split = parts > 1;
  const Binding dgamma = split ? l.workspace(size_t(parts * w.c) * 4) : l.out(1), dbeta = split ? l.workspace(size_t(parts * w.c) * 4) : l.out(2);
  auto bindings = [&](Slice s, std::initializer_list<Binding> rest) {
    std::vector<Binding> b{l.in(0, s), l.in(1, s), l.in(2), l.in(3), l.in(4), l.in(5), residual ? l.in(6, s) : l.in(0, s)};
    b.insert(b.end(), rest);
    return b;
  };
  for_each_launch(l, w, batches, chunk, [&](Slice s, const params::BatchNorm& p) {
    dispatch_walk(l, w, "batch_norm_grad_sums", {kRunning, residual, activation}, bindings(s, {dgamma, dbeta}), p);
  });
  if (split) sum_slices(l, dgamma, l.out(1), w.c, parts), sum_slices(l, dbeta, l.out(2), w.c, parts);
  for_each_launch(l, w, batches, map_chunk(l, w), [&](Slice s, const params::BatchNorm& p) {
    dispatch_walk(l, w, "batch_norm_grad_apply", {kRunning, residual, activation, residual},
                  bindings(s, {l.out(1), l.out(2), l.out(0, s), residual ? l.out(3, s) : l.out(0, s)}), p);
  });
}

// ---- evaluation ----------------------------------------------------------------------------------------------------

// (x, gamma, beta, mean, variance | invstd (, residual)) -> y
template <OpName kOp>
std::vector<TensorDesc> apply_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check(kOp.text, label, in);
  check.count(5 + size_t(has_residual(attrs)));
  check_inputs(check, in, 1, {"gamma", "beta", "mean", "spread"});
  if (has_residual(attrs)) check.same_shape(5, "residual", 0, "x"), check.same_type(5, "residual", 0, "x");
  return {in[0]};
}

template <bool kVariance>
void apply_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t c = size_t(in[0].shape.last());
  for (size_t i = 0; i < in[0].data.size(); ++i) {
    const size_t k = i % c;
    const double invstd = kVariance ? 1 / std::sqrt(in[4][k] + eps_of(attrs)) : in[4][k];
    const double z = (in[0][i] - in[3][k]) * invstd * in[1][k] + in[2][k];
    out[0][i] = activate(activation_of(attrs), z + (has_residual(attrs) ? in[5][i] : 0));
  }
}

template <bool kVariance>
void apply_lower(Lowering& l) {
  lower_apply(l, l.in(3), l.in(4), kVariance);
}

void eval_gradient(Gradient& g) {
  const bool residual = has_residual(g.attrs()), in_kernel = residual && activation_of(g.attrs()) != Activation::none;
  std::vector<Value> in{g.in(0), g.grad(0), g.in(1), g.in(2), g.in(3), g.in(4)};
  if (in_kernel) in.push_back(g.in(5));
  const std::vector<Value> out = g.add(batch_norm_eval_grad, gradient_attrs(g, in_kernel), in, "grad");
  g.set(0, out[0]), g.set(1, out[1]), g.set(2, out[2]);
  if (residual) g.set(5, in_kernel ? out[3] : g.grad(0));
}

std::vector<Case> apply_cases() {
  std::vector<Case> cases = train_cases();
  for (Case& k : cases) {
    // The statistics are constants here: they have no gradient.
    const size_t c = size_t(k.in[3].elements());
    std::vector<double> mean(c), var(c);
    for (size_t i = 0; i < c; ++i) mean[i] = 0.25 * double(i % 5) - 0.5, var[i] = 0.5 + 0.25 * double(i % 7);
    k.fill[3] = Fill::fixed(mean), k.fill[4] = Fill::fixed(var);
  }
  return cases;
}

// ---- folding -------------------------------------------------------------------------------------------------------

std::vector<TensorDesc> fold_filter_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("fold_filter", label, in);
  check.count(3);
  check.storage(0, "filter");
  check.not_empty(0, "filter");
  for (size_t i : {1, 2}) check.shape(i, "gamma or variance", Shape{in[0].shape.last()}), check.dtype(i, "gamma or variance", DType::f32);
  return {in[0]};
}

void fold_filter_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t c = size_t(in[0].shape.last());
  for (size_t i = 0; i < in[0].data.size(); ++i) out[0][i] = in[0][i] * in[1][i % c] / std::sqrt(in[2][i % c] + eps_of(attrs));
}

void fold_filter_lower(Lowering& l) {
  const params::Fold p{uint32_t(l.in_desc(0).elements()), uint32_t(l.in_desc(0).shape.last()), float(eps_of(l.attrs()))};
  l.dispatch(l.module("fold_filter", l.in_desc(0).dtype), {l.target.workgroup}, {l.in(0), l.in(1), l.in(2), l.out(0)}, p, groups_for_single(l, p.count));
}

std::vector<TensorDesc> fold_bias_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("fold_bias", label, in);
  check.count(4 + size_t(attrs.integer("bias", 0)));
  for (size_t i = 0; i < in.size(); ++i) check.rank(i, "input", 1), check.same_shape(i, "input", 0, "gamma"), check.dtype(i, "input", DType::f32);
  return {in[0]};
}

void fold_bias_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const bool bias = attrs.integer("bias", 0);
  for (size_t k = 0; k < out[0].data.size(); ++k)
    out[0][k] = in[1][k] + ((bias ? in[4][k] : 0) - in[2][k]) * in[0][k] / std::sqrt(in[3][k] + eps_of(attrs));
}

void fold_bias_lower(Lowering& l) {
  const uint32_t c = uint32_t(l.in_desc(0).elements());
  const bool bias = l.attrs().integer("bias", 0);
  l.dispatch("fold_bias.f32", {l.target.workgroup, bias}, {l.in(0), l.in(1), l.in(2), l.in(3), bias ? l.in(4) : l.in(0), l.out(0)},
             params::Fold{c, c, float(eps_of(l.attrs()))}, groups_for_single(l, c));
}

std::vector<Case> fold_filter_cases() {
  const std::vector<Fill> fill{Fill::real(), Fill::fixed({0.5, 1, 1.5, -2}), Fill::fixed({0.5, 1, 2})};
  return {{{{{3, 3, 5, 7}}, {{7}}, {{7}}}, {}, fill}, {{{{1, 1, 8, 12}}, {{12}}, {{12}}}, {{"eps", 1e-3}}, fill}};
}

std::vector<Case> fold_bias_cases() {
  const std::vector<Fill> fill{Fill::fixed({0.5, 1, 1.5, -2}), Fill::real(), Fill::real(), Fill::fixed({0.5, 1, 2}), Fill::real()};
  return {{{{{7}}, {{7}}, {{7}}, {{7}}}, {}, {fill[0], fill[1], fill[2], fill[3]}}, {{{{12}}, {{12}}, {{12}}, {{12}}, {{12}}}, {{"bias", 1}}, fill}};
}

}  // namespace

const OpDef batch_norm{
    .name = "batch_norm",
    .shape = train_shape,
    .reference = train_reference,
    .grad = train_gradient,
    .lower = train_lower,
    .again = train_again,
    .cases = train_cases,
    .candidates = candidates,
    .in_place = {{3, 3}, {4, 4}},
    .mixes_images = true,
    .error = 2e-6,
    .half = true,
};

const OpDef batch_norm_grad{
    .name = "batch_norm_grad",
    .shape = grad_shape<"batch_norm_grad">,
    .reference = grad_reference<false>,
    .lower = grad_lower<false>,
    .candidates = candidates,
    .error = 2e-6,
    .half = true,
};

const OpDef batch_norm_apply{
    .name = "batch_norm_apply",
    .shape = apply_shape<"batch_norm_apply">,
    .reference = apply_reference<false>,
    .lower = apply_lower<false>,
    .cases = apply_cases,
    .error = 2e-6,
    .half = true,
};

const OpDef batch_norm_eval{
    .name = "batch_norm_eval",
    .shape = apply_shape<"batch_norm_eval">,
    .reference = apply_reference<true>,
    .grad = eval_gradient,
    .lower = apply_lower<true>,
    .again = same_again,
    .cases = apply_cases,
    .error = 2e-6,
    .half = true,
};

const OpDef batch_norm_eval_grad{
    .name = "batch_norm_eval_grad",
    .shape = grad_shape<"batch_norm_eval_grad">,
    .reference = grad_reference<true>,
    .lower = grad_lower<true>,
    .error = 2e-6,
    .half = true,
};

const OpDef fold_filter{
    .name = "fold_filter",
    .shape = fold_filter_shape,
    .reference = fold_filter_reference,
    .lower = fold_filter_lower,
    .cases = fold_filter_cases,
    .error = 1e-6,
    .half = true,
};

const OpDef fold_bias{
    .name = "fold_bias",
    .shape = fold_bias_shape,
    .reference = fold_bias_reference,
    .lower = fold_bias_lower,
    .cases = fold_bias_cases,
    .error = 1e-6,
};

}  // namespace vkfer::ops
