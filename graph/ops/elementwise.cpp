// Sums, multiples, changes of storage type and of shape: tensors seen flat.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"
#include "shaders/params/functions.h"

namespace vkfer::ops {

namespace {

constexpr uint32_t kBinaryAdd = 0;                // shaders/binary.comp
constexpr uint32_t kCopy = 0, kScale = 16;  // shaders/unary.comp

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

void add_lower(Lowering& l) { lower_flat(l, l.module("binary", l.in_desc(0).dtype), 2, {kBinaryAdd, 0}, flat_push); }

std::vector<Case> add_cases() {
  std::vector<Case> cases;
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 2, 4, 8}, Shape{5}, Shape{2, 24, 23, 12}})
    cases.push_back({.in = {f32(shape), f32(shape)}});
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
  if (to == "bool") return DType::i32;
  for (DType t : {DType::f32, DType::f16, DType::i32})
    if (to == dtype_name(t)) return t;
  fail("cast", "'{}': got to='{}', expected f32, f16, i32 or bool. Fix: correct the attribute.", label, to);
}

std::vector<TensorDesc> cast_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("cast", label, in);
  check.count(1);
  const DType to = cast_type(attrs, label);
  if (in[0].dtype != DType::i32) check.storage(0, "x");
  check.require(!(in[0].dtype == DType::i32 && to == DType::f16) && !(in[0].dtype == DType::f16 && to == DType::i32),
                "got {} to {}, expected one of them to be f32. Fix: insert a cast to f32.", in[0].to_string(), attrs.text("to", ""));
  return {{in[0].shape, to}};
}

void cast_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const std::string to = attrs.text("to", "");
  for (size_t i = 0; i < out[0].data.size(); ++i) {
    const double x = in[0][i];
    out[0][i] = to == "bool" ? double(x != 0) : to == "i32" ? (std::isnan(x) ? 0 : std::trunc(std::clamp(x, double(INT32_MIN), double(INT32_MAX)))) : x;
  }
}

void copy_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  out[0].data = in[0].data;
}

void cast_grad(Gradient& g) {
  if (!g.wants(0) || g.graph.desc(g.in(0)).dtype == DType::i32 || g.graph.desc(g.out(0)).dtype == DType::i32) return;
  // The gradient of a filter in 16 bits comes in f32, as the filter that was cast is.
  const DType type = g.graph.desc(g.in(0)).dtype;
  const bool is_so = g.graph.desc(g.grad()).dtype == type;
  g.set(0, is_so ? g.grad() : g.add(cast, {{"to", dtype_name(type)}}, {g.grad()}, "grad")[0]);
}

void cast_lower(Lowering& l) {
  const bool from_whole = l.in_desc(0).dtype == DType::i32, to_whole = l.out_desc(0).dtype == DType::i32;
  if (from_whole && to_whole && l.attrs().text("to", "") == "i32") return lower_unary(l, params::kIdentity, true);
  if (to_whole) return lower_unary(l, l.attrs().text("to", "") == "bool" ? params::kTruth : params::kToInteger, from_whole);
  if (from_whole) return lower_unary(l, params::kToFloat, true);
  const bool from_half = l.in_desc(0).dtype == DType::f16, to_half = l.out_desc(0).dtype == DType::f16;
  lower_flat(l, l.module("cast", from_half || to_half ? DType::f16 : DType::f32), 1, {from_half, to_half}, flat_push);
}

std::vector<Case> cast_cases() {
  std::vector<Case> cases;
  for (const Shape& s : {Shape{1}, Shape{2, 3, 5, 7}, Shape{3, 2, 4, 8}})
    for (const char* to : {"f32", "f16"}) cases.push_back({.in = {f32(s)}, .attrs = {{"to", to}}});
  cases.push_back({.in = {f16({3, 7})}, .attrs = {{"to", "f32"}}});
  cases.push_back({.in = {f16({2, 8})}, .attrs = {{"to", "f16"}}});
  for (const char* to : {"i32", "bool"}) {
    cases.push_back({.in = {f32({3, 4})}, .attrs = {{"to", to}}, .fill = {Fill::fixed({1.75, -1.75, 0.25, 0, 3e9, -3e9, 1e7})}});
    cases.push_back({.in = {i32({5})}, .attrs = {{"to", to}}, .fill = {Fill::index(-3, 3)}});
  }
  cases.push_back({.in = {i32({2, 3})}, .attrs = {{"to", "f32"}}, .fill = {Fill::index(-70000, 70000)}});
  cases.push_back({.in = {f32({0, 3})}, .attrs = {{"to", "i32"}}, .fill = {Fill::fixed({0})}});
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
  check.count(1);
  if (in[0].dtype != DType::i32) check.storage(0, "x");
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

void reshape_lower(Lowering& l) {
  if (l.in_desc(0).dtype == DType::i32) return lower_unary(l, params::kIdentity, true);
  copy_lower(l);
}

std::vector<Case> flatten_cases() {
  return {{.in = {f32({1, 1, 1, 1})}}, {.in = {f32({2, 3, 5, 7})}}, {.in = {f32({3, 2, 4, 8})}}};
}

std::vector<Case> reshape_cases() {
  return {{.in = {f32({6})}, .attrs = {{"shape", Integers{2, 3}}}},
          {.in = {f32({2, 12})}, .attrs = {{"shape", Integers{2, 1, 3, 4}}}},
          {.in = {f32({2, 1, 1, 5})}, .attrs = {{"shape", Integers{2, 5}}}},
          {.in = {i32({3, 4})}, .attrs = {{"shape", Integers{2, 6}}}, .fill = {Fill::index(-9, 9)}},
          {.in = {f32({1})}, .attrs = {{"shape", Integers{}}}},
          {.in = {f32({0, 3})}, .attrs = {{"shape", Integers{5, 0}}}}};
}

}  // namespace

const OpDef add{.name = "add",
                .shape = add_shape,
                .reference = add_reference,
                .grad = add_grad,
                .lower = add_lower,
                .again = same_again,
                .cost = elementwise_cost<1>,
                .cases = add_cases,
                .in_place = {{0, 0}, {0, 1}},
                .exact_on_integers = true,
                .error = 1e-6,
                .half = true};

const OpDef scale{.name = "scale",
                  .shape = same_shape<"scale">,
                  .reference = scale_reference,
                  .grad = scale_grad,
                  .lower = scale_lower,
                  .again = same_again,
                  .cost = elementwise_cost<1>,
                  .cases = scale_cases,
                  .in_place = {{0, 0}},
                  .exact_on_integers = true,
                  .error = 1e-6,
                  .half = true};

const OpDef cast{.name = "cast",
                 .shape = cast_shape,
                 .reference = cast_reference,
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
                    .again = same_again,
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
                    .lower = reshape_lower,
                    .again = same_again,
                    .cost = elementwise_cost<0>,
                    .cases = reshape_cases,
                    .in_place = {{0, 0}},
                    .exact_on_integers = true,
                    .error = 1e-7,
                    .half = true};

}  // namespace vkfer::ops
