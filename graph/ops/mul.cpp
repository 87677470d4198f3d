// Products, and the squeeze-excitation scale: a factor [n,1,1,c] for every pixel of an image (Hu et al., 2018).
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"

namespace vkfer::ops {

namespace {

constexpr uint32_t kMultiply = 1;                         // shaders/binary.comp
constexpr uint32_t kChannelMultiply = 0, kReduceDot = 1;  // shaders/channel_scale.comp, reduce_spatial.comp

// ---- mul: factors of one shape, or b [n,1,1,c] for the whole image ----

std::vector<TensorDesc> mul_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("mul", label, in);
  check.count(2);
  check.storage(0, "a");
  check.not_empty(0, "a");
  check.same_type(1, "b", 0, "a");
  if (in[1].shape == in[0].shape) return {in[0]};
  check.rank(0, "a", 4);
  check.shape(1, "b", Shape{in[0].shape.n(), 1, 1, in[0].shape.c()});
  return {in[0]};
}

void mul_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Shape& s = in[0].shape;
  const bool spread = in[1].shape != s;
  for (size_t i = 0; i < out[0].data.size(); ++i) {
    const size_t channels = size_t(s.last()), image = spread ? i / size_t(s.h() * s.w() * s.c()) : 0;
    out[0][i] = in[0][i] * in[1][spread ? image * channels + i % channels : i];
  }
}

void mul_grad(Gradient& g) {
  const bool spread = g.graph.shape(g.in(0)) != g.graph.shape(g.in(1));
  if (g.wants(0)) g.set(0, g.add(mul, {}, {g.grad(), g.in(1)}, "grad_a")[0]);
  if (g.wants(1)) g.set(1, g.add(spread ? mul_grad_scale : mul, {}, {g.in(0), g.grad()}, "grad_b")[0]);
}

void mul_lower(Lowering& l) {
  const TensorDesc &a = l.in_desc(0), &b = l.in_desc(1);
  if (a.shape == b.shape)
    return lower_flat(l, l.module("binary", a.dtype), 2, {kMultiply, 0}, [](Slice s) {
      return params::Flat{uint32_t(s.count), 1};
    });
  const int64_t channels = a.shape.c() / unit_channels(a.shape.c()), pixels = a.shape.h() * a.shape.w();
  for (Slice s : l.batch_slices({a, b})) {
    const int64_t units = s.count * pixels * channels;
    const params::ChannelScale push{uint32_t(units), 1, params::divisor(pixels * channels), params::divisor(channels)};
    l.dispatch(l.module("channel_scale", a.dtype),
               {l.target.workgroup, l.target.vectors_per_invocation, uint32_t(unit_channels(a.shape.c()) == 4),
                kChannelMultiply},
               {l.in(0, s), l.in(1, s), l.out(0, s), l.in(1, s)}, push, groups_for(l, units));
  }
}

std::vector<Case> mul_cases() {
  std::vector<Case> cases;
  for (const Shape& s : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 2, 4, 8}, Shape{5}, Shape{2, 24, 23, 12}})
    cases.push_back({.in = {f32(s), f32(s)}});
  for (const Shape& s :
       {Shape{1, 1, 1, 3}, Shape{2, 3, 5, 7}, Shape{3, 5, 2, 8}, Shape{2, 7, 7, 96}, Shape{5, 1, 3, 4}})
    cases.push_back({.in = {f32(s), f32({s.n(), 1, 1, s.c()})}});
  return cases;
}

// ---- mul_grad_scale ----

std::vector<TensorDesc> mul_grad_scale_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("mul_grad_scale", label, in);
  check.alike({"a", "dy"});
  check.rank(0, "a", 4);
  return {{Shape{in[0].shape.n(), 1, 1, in[0].shape.c()}, in[0].dtype}};
}

void mul_grad_scale_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Shape& s = in[0].shape;
  const size_t channels = size_t(s.c()), image = size_t(s.h() * s.w() * s.c());
  for (size_t i = 0; i < in[0].data.size(); ++i) out[0][i / image * channels + i % channels] += in[0][i] * in[1][i];
}

void mul_grad_scale_lower(Lowering& l) {
  const TensorDesc& a = l.in_desc(0);
  const int64_t channels = a.shape.c() / unit_channels(a.shape.c());
  for (Slice s : l.batch_slices({a, l.out_desc(0)})) {
    const params::ReduceSpatial push{uint32_t(s.count * channels), uint32_t(a.shape.h()), uint32_t(a.shape.w()), 1,
                                     params::divisor(channels)};
    l.dispatch(l.module("reduce_spatial", a.dtype),
               {l.target.workgroup, 1, uint32_t(unit_channels(a.shape.c()) == 4), kReduceDot},
               {l.in(0, s), l.in(1, s), l.out(0, s)}, push, groups_for_single(l, s.count * channels));
  }
}

std::vector<Case> mul_grad_scale_cases() {
  std::vector<Case> cases;
  for (const Shape& s :
       {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 5, 2, 8}, Shape{2, 24, 24, 16}, Shape{1, 1, 9, 20}})
    cases.push_back({.in = {f32(s), f32(s)}});
  return cases;
}

}  // namespace

const OpDef mul{.name = "mul",
                .shape = mul_shape,
                .reference = mul_reference,
                .grad = mul_grad,
                .lower = mul_lower,
                .cost = elementwise_cost<1>,
                .cases = mul_cases,
                .in_place = {{0, 0}},
                .exact_on_integers = true,
                .error = 1e-6,
                .half = true};

const OpDef mul_grad_scale{.name = "mul_grad_scale",
                           .shape = mul_grad_scale_shape,
                           .reference = mul_grad_scale_reference,
                           .lower = mul_grad_scale_lower,
                           .cases = mul_grad_scale_cases,
                           .exact_on_integers = true,
                           .error = 2e-6,
                           .half = true};

}  // namespace vkfer::ops
