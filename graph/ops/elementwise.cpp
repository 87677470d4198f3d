// Sums, products, changes of storage type and of shape. Tensors are seen flat except where one factor is [n,1,1,c].
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"

namespace vkfer::ops {

namespace {

constexpr uint32_t kAdd = 0, kMultiply = 1;               // shaders/binary.comp
constexpr uint32_t kCopy = 0, kScale = 16;                // shaders/unary.comp
constexpr uint32_t kChannelMultiply = 0, kReduceDot = 1;  // shaders/channel_scale.comp, reduce_spatial.comp

params::Flat flat_push(Slice s) { return {uint32_t(s.count), 1}; }

// ---- add ----

std::vector<TensorDesc> add_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck("add", label, in).alike({"a", "b"});
  return {in[0]};
}

void add_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for (size_t i = 0; i < out[0].data.size(); ++i) out[0][i] = in[0][i] + in[1][i];
}

void add_grad(Gradient& g) {
  for (int i = 0; i < 2; ++i)
    if (g.wants(i)) g.set(i, g.grad());
}

void add_lower(Lowering& l) { lower_flat(l, l.module("binary", l.in_desc(0).dtype), 2, {kAdd, 0}, flat_push); }

std::vector<Case> binary_cases() {
  std::vector<Case> cases;
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 2, 4, 8}, Shape{5}, Shape{2, 24, 23, 12}})
    cases.push_back({.in = {f32(shape), f32(shape)}});
  return cases;
}

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
  if (a.shape == b.shape) return lower_flat(l, l.module("binary", a.dtype), 2, {kMultiply, 0}, flat_push);
  const int64_t channels = a.shape.c() / unit_channels(a.shape.c()), pixels = a.shape.h() * a.shape.w();
  for (Slice s : l.batch_slices({a, b})) {
    const int64_t units = s.count * pixels * channels;
    const params::ChannelScale push{uint32_t(units), 1, params::divisor(pixels * channels), params::divisor(channels)};
    l.dispatch(l.module("channel_scale", a.dtype),
               {l.target.workgroup, l.target.vectors_per_invocation, uint32_t(unit_channels(a.shape.c()) == 4),
                kChannelMultiply},
               {l.in(0, s), l.in(1, s), l.out(0, s)}, push, groups_for(l, units));
  }
}

std::vector<Case> mul_cases() {
  std::vector<Case> cases = binary_cases();
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

// ---- scale ----

void scale_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for (size_t i = 0; i < out[0].data.size(); ++i) out[0][i] = attrs.number("factor") * in[0][i];
}

void scale_grad(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(scale, g.attrs(), {g.grad()}, "grad")[0]);
}

void scale_lower(Lowering& l) {
  const float factor = float(l.attrs().number("factor"));
  lower_flat(l, l.module("unary", l.in_desc(0).dtype), 1, {kScale}, [=](Slice s) {
    return params::Flat{uint32_t(s.count), factor};
  });
}

std::vector<Case> scale_cases() {
  return {{.in = {f32({1})}, .attrs = {{"factor", 3.0}}},
          {.in = {f32({2, 3, 5, 7})}, .attrs = {{"factor", -0.5}}},
          {.in = {f32({3, 2, 4, 8})}, .attrs = {{"factor", 4.0}}}};
}

// ---- cast ----

DType cast_type(const Attrs& attrs, std::string_view label) {
  const std::string to = attrs.text("to", "");
  if (to != "f32" && to != "f16")
    fail("cast", "'{}': got to='{}', expected f32 or f16. Fix: correct the attribute.", label, to);
  return to == "f16" ? DType::f16 : DType::f32;
}

std::vector<TensorDesc> cast_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck("cast", label, in).alike({"x"});
  return {{in[0].shape, cast_type(attrs, label)}};
}

void copy_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  out[0].data = in[0].data;
}

void cast_grad(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(cast, {{"to", dtype_name(g.graph.desc(g.in(0)).dtype)}}, {g.grad()}, "grad")[0]);
}

void cast_lower(Lowering& l) {
  const bool from_half = l.in_desc(0).dtype == DType::f16, to_half = l.out_desc(0).dtype == DType::f16;
  lower_flat(l, l.module("cast", from_half || to_half ? DType::f16 : DType::f32), 1, {from_half, to_half}, flat_push);
}

std::vector<Case> cast_cases() {
  std::vector<Case> cases;
  for (const Shape& s : {Shape{1}, Shape{2, 3, 5, 7}, Shape{3, 2, 4, 8}})
    for (const char* to : {"f32", "f16"}) cases.push_back({.in = {f32(s)}, .attrs = {{"to", to}}});
  cases.push_back({.in = {f16({3, 7})}, .attrs = {{"to", "f32"}}});
  cases.push_back({.in = {f16({2, 8})}, .attrs = {{"to", "f16"}}});
  return cases;
}

// ---- flatten, reshape: moves; the planner may alias them away ----

std::vector<TensorDesc> flatten_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("flatten", label, in);
  check.alike({"x"});
  check.require(in[0].shape.rank() >= 2, "x has rank {} ({}), expected at least 2. Fix: use reshape.",
                in[0].shape.rank(), in[0].to_string());
  return {{Shape{in[0].shape[0], in[0].elements() / in[0].shape[0]}, in[0].dtype}};
}

std::vector<TensorDesc> reshape_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("reshape", label, in);
  check.alike({"x"});
  const Shape shape(attrs.integers("shape", {}));
  check.require(shape.elements() == in[0].elements(),
                "got shape {} for x {}, expected {} elements. Fix: correct the attribute.", shape.to_string(),
                in[0].to_string(), in[0].elements());
  return {{shape, in[0].dtype}};
}

void reshape_grad(Gradient& g) {
  if (!g.wants(0)) return;
  const Shape& s = g.graph.shape(g.in(0));
  Integers dims;
  for (int i = 0; i < s.rank(); ++i) dims.push_back(s[i]);
  g.set(0, g.add(reshape, {{"shape", dims}}, {g.grad()}, "grad")[0]);
}

void copy_lower(Lowering& l) { lower_flat(l, l.module("unary", l.in_desc(0).dtype), 1, {kCopy}, flat_push); }

std::vector<Case> flatten_cases() {
  return {{.in = {f32({1, 1, 1, 1})}}, {.in = {f32({2, 3, 5, 7})}}, {.in = {f32({3, 2, 4, 8})}}};
}

std::vector<Case> reshape_cases() {
  return {{.in = {f32({6})}, .attrs = {{"shape", Integers{2, 3}}}},
          {.in = {f32({2, 12})}, .attrs = {{"shape", Integers{2, 1, 3, 4}}}},
          {.in = {f32({2, 1, 1, 5})}, .attrs = {{"shape", Integers{2, 5}}}}};
}

}  // namespace

const OpDef add{.name = "add",
                .shape = add_shape,
                .reference = add_reference,
                .grad = add_grad,
                .lower = add_lower,
                .cost = elementwise_cost<1>,
                .cases = binary_cases,
                .in_place = {{0, 0}, {0, 1}},
                .exact_on_integers = true,
                .error = 1e-6,
                .half = true};

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

const OpDef scale{.name = "scale",
                  .shape = same_shape<"scale">,
                  .reference = scale_reference,
                  .grad = scale_grad,
                  .lower = scale_lower,
                  .cost = elementwise_cost<1>,
                  .cases = scale_cases,
                  .in_place = {{0, 0}},
                  .exact_on_integers = true,
                  .error = 1e-6,
                  .half = true};

const OpDef cast{.name = "cast",
                 .shape = cast_shape,
                 .reference = copy_reference,
                 .grad = cast_grad,
                 .lower = cast_lower,
                 .cost = elementwise_cost<0>,
                 .cases = cast_cases,
                 .exact_on_integers = true,
                 .error = 1e-3,  // half an ulp of f16 is 2^-11
                 .half = true};

const OpDef flatten{.name = "flatten",
                    .shape = flatten_shape,
                    .reference = copy_reference,
                    .grad = reshape_grad,
                    .lower = copy_lower,
                    .cost = elementwise_cost<0>,
                    .cases = flatten_cases,
                    .in_place = {{0, 0}},
                    .exact_on_integers = true,
                    .error = 1e-7,
                    .half = true};

const OpDef reshape{.name = "reshape",
                    .shape = reshape_shape,
                    .reference = copy_reference,
                    .grad = reshape_grad,
                    .lower = copy_lower,
                    .cost = elementwise_cost<0>,
                    .cases = reshape_cases,
                    .in_place = {{0, 0}},
                    .exact_on_integers = true,
                    .error = 1e-7,
                    .half = true};

}  // namespace vkfer::ops
