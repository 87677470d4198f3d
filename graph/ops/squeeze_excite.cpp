// Hu et al., Squeeze-and-Excitation Networks, 2018: every channel of an image is scaled by what two small layers make of the
// means of all channels. Three launches forward, four backward, however small the layers are.
#include "graph/ops/activation.h"
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"
#include "shaders/params/squeeze_excite.h"

namespace vkfer::ops {

namespace {

constexpr uint32_t kChannelMultiply = 0, kChannelMultiplyAdd = 2;  // shaders/channel_scale.comp
constexpr uint32_t kReduceMean = 0, kReduceDot = 1;                // shaders/reduce_spatial.comp
constexpr int64_t kMostTurns = 60000;                              // of an invocation's loops: lavapipe ends them at 65,535

Activation inner_of(const Attrs& attrs, std::string_view label = "squeeze_excite") {
  return activation_from_name(attrs.text("activation", "silu"), std::string(label));
}

struct Sizes {
  int64_t n, h, w, c, s;
  int64_t pixels() const { return h * w; }
};
Sizes sizes_of(const Shape& x, const Shape& squeeze) { return {x.n(), x.h(), x.w(), x.c(), squeeze[3]}; }

void check_filter(const InputCheck& check, std::span<const TensorDesc> in, size_t i, std::string_view name, int64_t from, int64_t to) {
  check.dtype(i, name, DType::f32);
  check.shape(i, name, Shape{1, 1, from, to});
  check.require(in[i].elements() > 0, "{} is empty", name);
}

// ---- the definition ---------------------------------------------------------------------------------------------------

// One image: means [c] -> z [s] before the inner activation, gate [c].
void gate_reference(Activation f, const Sizes& k, const HostTensor& means, const HostTensor& w1, const HostTensor& b1, const HostTensor& w2,
                    const HostTensor& b2, HostTensor& z, HostTensor& gate) {
  for (size_t n = 0; n < size_t(k.n); ++n) {
    for (size_t j = 0; j < size_t(k.s); ++j) {
      double sum = b1[j];
      for (size_t c = 0; c < size_t(k.c); ++c) sum += means[n * size_t(k.c) + c] * w1[c * size_t(k.s) + j];
      z[n * size_t(k.s) + j] = sum;
    }
    for (size_t c = 0; c < size_t(k.c); ++c) {
      double sum = b2[c];
      for (size_t j = 0; j < size_t(k.s); ++j) sum += activate(f, z[n * size_t(k.s) + j]) * w2[j * size_t(k.c) + c];
      gate[n * size_t(k.c) + c] = activate(Activation::sigmoid, sum);
    }
  }
}

// The element of a tensor [n,c] that element i of x belongs to.
size_t channel_of(const Sizes& k, size_t i) { return i / size_t(k.pixels() * k.c) * size_t(k.c) + i % size_t(k.c); }

std::vector<TensorDesc> shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("squeeze_excite", label, in);
  check.count(5);
  check.storage(0, "x"), check.rank(0, "x", 4), check.not_empty(0, "x");
  check.rank(1, "the first filter", 4);
  const Sizes k = sizes_of(in[0].shape, in[1].shape);
  check_filter(check, in, 1, "the first filter", k.c, k.s), check.shape(2, "the first bias", Shape{k.s}), check.dtype(2, "the first bias", DType::f32);
  check_filter(check, in, 3, "the second filter", k.s, k.c), check.shape(4, "the second bias", Shape{k.c}), check.dtype(4, "the second bias", DType::f32);
  inner_of(attrs, label);
  return {in[0], {Shape{k.n, k.c}, in[0].dtype}, {Shape{k.n, k.c}, in[0].dtype}, {Shape{k.n, k.s}}};
}

void reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Sizes k = sizes_of(in[0].shape, in[1].shape);
  HostTensor &gate = out[1], &means = out[2], &z = out[3];
  for (size_t i = 0; i < in[0].data.size(); ++i) means[channel_of(k, i)] += in[0][i] / double(k.pixels());
  gate_reference(inner_of(attrs), k, means, in[1], in[2], in[3], in[4], z, gate);
  for (size_t i = 0; i < in[0].data.size(); ++i) out[0][i] = in[0][i] * gate[channel_of(k, i)];
}

void gradient(Gradient& g) {
  if (g.grad(1) || g.grad(2) || g.grad(3))
    fail("squeeze_excite", "its second to fourth output have no gradient of their own. Fix: use the first");
  if (!g.grad(0)) return;
  const std::vector<Value> out = g.add(squeeze_excite_grad, g.attrs(), {g.in(0), g.grad(0), g.out(1), g.out(2), g.out(3), g.in(1), g.in(3)}, "grad");
  for (int i = 0; i < 5; ++i) g.set(i, out[size_t(i)]);
}

// ---- lowering ---------------------------------------------------------------------------------------------------------

params::SqueezeExcite push_of(const Sizes& k) { return {uint32_t(k.n), uint32_t(k.c), uint32_t(k.s), float(1 / double(k.pixels()))}; }

// One workgroup an image, which keeps all of its squeezed (and, backward, its unsqueezed) channels in shared memory.
uint32_t gate_workgroup(const Lowering& l, const Sizes& k, int64_t shared_floats) {
  const int64_t size = std::min<int64_t>(l.target.max_invocations, std::max<int64_t>(l.target.workgroup, 64));
  const int64_t turns = divide_round_up(k.s, size) * divide_round_up(k.c, 4) + divide_round_up(k.c, size) * divide_round_up(k.s, 4);
  if (turns > kMostTurns || shared_floats * 4 > int64_t(l.target.shared_memory_bytes))
    fail("plan", "'{}': {} channels squeezed to {} are more than one workgroup takes. Fix: use a narrower network", l.label(), k.c, k.s);
  return uint32_t(size);
}

void reduce(Lowering& l, const Sizes& k, uint32_t operation, const TensorDesc& x, int a, int b, Binding to) {
  const int64_t channels = k.c / unit_channels(k.c);
  const TensorDesc row{{k.n, k.c}, x.dtype};
  for (Slice s : l.batch_slices({x, row})) {
    const params::ReduceSpatial push{uint32_t(s.count * channels), uint32_t(k.h), uint32_t(k.w), float(1 / double(k.pixels())), params::divisor(channels)};
    Binding part = to;
    part.offset += size_t(s.first * k.c) * dtype_bytes(x.dtype), part.bytes = (size_t(s.count * k.c) * dtype_bytes(x.dtype) + 3) / 4 * 4;
    l.dispatch(l.module("reduce_spatial", x.dtype), {l.target.workgroup, 1, uint32_t(unit_channels(k.c) == 4), operation}, {l.in(a, s), l.in(b, s), part},
               push, groups_for_single(l, push.outputs));
  }
}

// out = x * gate, or x * gate + offset; gate and offset are [n,c].
void scale_channels(Lowering& l, const Sizes& k, uint32_t operation, int x, Binding gate, Binding offset) {
  const DType storage = l.in_desc(x).dtype;
  const int64_t channels = k.c / unit_channels(k.c);
  const TensorDesc row{{k.n, k.c}, storage};
  for (Slice s : l.batch_slices({l.in_desc(x), row})) {
    const int64_t units = s.count * k.pixels() * channels;
    const params::ChannelScale push{uint32_t(units), 1, params::divisor(k.pixels() * channels), params::divisor(channels)};
    const auto part = [&](Binding b) {
      b.offset += size_t(s.first * k.c) * dtype_bytes(storage), b.bytes = (size_t(s.count * k.c) * dtype_bytes(storage) + 3) / 4 * 4;
      return b;
    };
    l.dispatch(l.module("channel_scale", storage), {l.target.workgroup, l.target.vectors_per_invocation, uint32_t(unit_channels(k.c) == 4), operation},
               {l.in(x, s), part(gate), l.out(0, s), part(offset)}, push, groups_for(l, units));
  }
}

void lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  const Sizes k = sizes_of(x.shape, l.in_desc(1).shape);
  reduce(l, k, kReduceMean, x, 0, 0, l.out(2));
  l.dispatch(l.module("squeeze_excite", x.dtype), {gate_workgroup(l, k, k.s), uint32_t(k.s), uint32_t(inner_of(l.attrs()))},
             {l.out(2), l.in(1), l.in(2), l.in(3), l.in(4), l.out(1), l.out(3)}, push_of(k), l.linear_groups(uint64_t(k.n)));
  scale_channels(l, k, kChannelMultiply, 0, l.out(1), l.out(1));
}

Cost cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<2>(attrs, in, out);
  c.flops += 4.0 * double(in[0].shape.n()) * double(in[1].elements());
  return c;
}

// x * gate once more: the gate is there.
Value again(Graph& g, const Node& n, int output) {
  if (output != 0) return {};
  const Shape& x = g.shape(n.in[0]);
  const Value gate = g.add1(reshape, {{"shape", std::vector<int64_t>{x.n(), 1, 1, x.c()}}}, {n.out[1]}, n.label + "/gate");
  return g.add1(mul, {}, {n.in[0], gate}, n.label + "/again");
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (auto [x, s] : {std::pair{Shape{1, 1, 1, 1}, 1}, {Shape{2, 3, 5, 8}, 2}, {Shape{3, 2, 4, 7}, 3}, {Shape{2, 4, 3, 96}, 4}, {Shape{5, 3, 3, 12}, 10}})
    all.push_back({{{x}, {{1, 1, x.c(), s}}, {{s}}, {{1, 1, s, x.c()}}, {{x.c()}}}, {{"activation", x.c() == 12 ? "relu" : "silu"}}});
  return all;
}

// ---- gradient: (x, dy, gate, means, z, filter 1, filter 2) -> dx, dfilter 1, dbias 1, dfilter 2, dbias 2 -------------------

std::vector<TensorDesc> grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("squeeze_excite_grad", label, in);
  check.count(7);
  check.storage(0, "x"), check.rank(0, "x", 4), check.not_empty(0, "x");
  check.same_shape(1, "dy", 0, "x"), check.same_type(1, "dy", 0, "x");
  check.rank(5, "the first filter", 4);
  const Sizes k = sizes_of(in[0].shape, in[5].shape);
  check.shape(2, "gate", Shape{k.n, k.c}), check.same_type(2, "gate", 0, "x");
  check.shape(3, "means", Shape{k.n, k.c}), check.same_type(3, "means", 0, "x");
  check.shape(4, "z", Shape{k.n, k.s}), check.dtype(4, "z", DType::f32);
  check_filter(check, in, 5, "the first filter", k.c, k.s), check_filter(check, in, 6, "the second filter", k.s, k.c);
  inner_of(attrs, label);
  return {in[0], in[5], {Shape{k.s}}, in[6], {Shape{k.c}}};
}

void grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const HostTensor &x = in[0], &dy = in[1], &gate = in[2], &means = in[3], &z = in[4], &w1 = in[5], &w2 = in[6];
  const Sizes k = sizes_of(x.shape, w1.shape);
  const Activation f = inner_of(attrs);
  const size_t c = size_t(k.c), s = size_t(k.s);
  HostTensor dgate(Shape{k.n, k.c}), dmeans(Shape{k.n, k.c});
  for (size_t i = 0; i < x.data.size(); ++i) dgate[channel_of(k, i)] += x[i] * dy[i];
  for (size_t n = 0; n < size_t(k.n); ++n) {
    std::vector<double> inner(c), outer(s);  // gradients before the sigmoid and before the inner activation
    for (size_t j = 0; j < c; ++j) inner[j] = dgate[n * c + j] * gate[n * c + j] * (1 - gate[n * c + j]);
    for (size_t i = 0; i < s; ++i) {
      const double hidden = activate(f, z[n * s + i]);
      for (size_t j = 0; j < c; ++j) {
        outer[i] += inner[j] * w2[i * c + j];
        out[3][i * c + j] += hidden * inner[j];
      }
      outer[i] *= activate_slope(f, z[n * s + i]);
      out[2][i] += outer[i];
    }
    for (size_t j = 0; j < c; ++j) {
      out[4][j] += inner[j];
      for (size_t i = 0; i < s; ++i) {
        dmeans[n * c + j] += outer[i] * w1[j * s + i];
        out[1][j * s + i] += means[n * c + j] * outer[i];
      }
    }
  }
  for (size_t i = 0; i < x.data.size(); ++i)
    out[0][i] = dy[i] * gate[channel_of(k, i)] + dmeans[channel_of(k, i)] / double(k.pixels());
}

void grad_lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  const Sizes k = sizes_of(x.shape, l.in_desc(5).shape);
  const uint32_t f = uint32_t(inner_of(l.attrs()));
  const size_t row = (size_t(k.n * k.c) * dtype_bytes(x.dtype) + 3) / 4 * 4;
  const Binding dgate = l.workspace(row), dmeans = l.workspace(row);
  const Binding inner = l.workspace(size_t(k.n * k.c) * 4), outer = l.workspace(size_t(k.n * k.s) * 4);
  reduce(l, k, kReduceDot, x, 0, 1, dgate);
  l.dispatch(l.module("squeeze_excite_grad", x.dtype), {gate_workgroup(l, k, k.s + k.c), uint32_t(k.s), uint32_t(k.c), f},
             {dgate, l.in(2), l.in(4), l.in(5), l.in(6), dmeans, inner, outer}, push_of(k), l.linear_groups(uint64_t(k.n)));
  scale_channels(l, k, kChannelMultiplyAdd, 1, l.in(2), dmeans);
  l.dispatch(l.module("squeeze_excite_grad_filters", x.dtype), {l.target.workgroup, f},
             {l.in(3), l.in(4), inner, outer, l.out(1), l.out(2), l.out(3), l.out(4)}, push_of(k), groups_for_single(l, (k.c + 1) * k.s + (k.s + 1) * k.c));
}

Cost grad_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<4>(attrs, in, out);
  c.flops += 8.0 * double(in[0].shape.n()) * double(in[5].elements());
  return c;
}

}  // namespace

const OpDef squeeze_excite{.name = "squeeze_excite",
                           .shape = shape,
                           .reference = reference,
                           .grad = gradient,
                           .lower = lower,
                           .again = again,
                           .cost = cost,
                           .cases = cases,
                           .error = 4e-6,
                           .half = true};

const OpDef squeeze_excite_grad{.name = "squeeze_excite_grad",
                                .shape = grad_shape,
                                .reference = grad_reference,
                                .lower = grad_lower,
                                .cost = grad_cost,
                                .error = 4e-6,
                                .half = true};

}  // namespace vkfer::ops
