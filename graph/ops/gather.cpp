// gather, one_hot, cumsum: along one dimension of a tensor seen as [outer, n, inner].
#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/reduce.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kMostTurns = 60000;  // of an invocation's loop: lavapipe ends loops after 65,535
constexpr uint32_t kGather = 0, kGatherGrad = 1, kOneHot = 2, kCumsum = 3;  // shaders/gather.comp

int axis_of(const Attrs& attrs, int rank, std::string_view op, std::string_view label, int64_t fallback) {
  const int64_t axis = attrs.integer("axis", fallback), d = axis < 0 ? axis + rank : axis;
  if (d < 0 || d >= rank) fail(op, "'{}': got axis {}, expected one from {} to {}. Fix: correct the attribute.", label, axis, -rank, rank - 1);
  return int(d);
}

struct Lines {
  int64_t outer = 1, n = 1, inner = 1;
};
Lines lines_of(const Shape& s, int axis) {
  Lines l{.n = s[axis]};
  for (int i = 0; i < axis; ++i) l.outer *= s[i];
  for (int i = axis + 1; i < s.rank(); ++i) l.inner *= s[i];
  return l;
}

void check_line(const Lowering& l, int64_t n) {
  if (n > kMostTurns) fail("plan", "'{}': got {} elements along the axis, expected at most {}. Fix: split the dimension", l.label(), n, kMostTurns);
}

size_t wrapped(double index, int64_t n) { return size_t(std::clamp<int64_t>(index < 0 ? int64_t(index) + n : int64_t(index), 0, n - 1)); }

void launch(Lowering& l, uint32_t mode, uint32_t exclusive, uint32_t reverse, std::vector<Binding> bindings, const params::Lines& push) {
  l.dispatch("gather.f32", {l.target.workgroup, mode, exclusive, reverse}, std::move(bindings), push, groups_for_single(l, push.count));
}

// ---- gather ----

std::vector<TensorDesc> gather_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("gather", label, in);
  check.count(2);
  if (in[0].dtype != DType::i32) check.dtype(0, "x", DType::f32);
  check.dtype(1, "indices", DType::i32);
  const int axis = axis_of(attrs, in[0].shape.rank(), "gather", label, 0);
  check.require(in[0].shape[axis] > 0 || in[1].elements() == 0, "x {} is empty along axis {}, expected an element. Fix: check the layers that feed it.", in[0].to_string(), axis);
  Integers sizes;
  for (int i = 0; i < in[0].shape.rank(); ++i) {
    if (i != axis) sizes.push_back(in[0].shape[i]);
    else for (int64_t s : sizes_of(in[1].shape)) sizes.push_back(s);
  }
  return {{Shape(sizes), in[0].dtype}};
}

void gather_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Lines s = lines_of(in[0].shape, axis_of(attrs, in[0].shape.rank(), "gather", "reference", 0));
  size_t y = 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (double index : in[1].data)
      for (int64_t i = 0; i < s.inner; ++i) out[0][y++] = in[0][(size_t(o * s.n) + wrapped(index, s.n)) * size_t(s.inner) + size_t(i)];
}

void gather_gradient(Gradient& g) {
  if (!g.wants(0)) return;
  const int axis = axis_of(g.attrs(), g.graph.shape(g.in(0)).rank(), "gather", "gradient", 0);
  g.set(0, g.add(gather_grad, {{"axis", axis}, {"input", sizes_of(g.graph.shape(g.in(0)))}}, {g.grad(), g.in(1)}, "grad")[0]);
}

void gather_lower(Lowering& l) {
  const TensorDesc &x = l.in_desc(0), &y = l.out_desc(0);
  if (y.elements() == 0) return;
  require_bindable(l, {x, l.in_desc(1), y});
  const Lines s = lines_of(x.shape, axis_of(l.attrs(), x.shape.rank(), "gather", l.label(), 0));
  launch(l, kGather, 0, 0, {l.in(0), l.in(1), l.out(0)},
         {uint32_t(y.elements()), uint32_t(s.n), uint32_t(l.in_desc(1).elements()), params::divisor(s.inner), params::divisor(l.in_desc(1).elements()), 0, 0});
}

std::vector<Case> gather_cases() {
  const auto row = [](TensorDesc x, Shape indices, int axis, double lo, double hi) {
    return Case{.in = {x, i32(indices)}, .attrs = {{"axis", axis}}, .fill = {x.dtype == DType::i32 ? Fill::index(-99, 99) : Fill::real(), Fill::index(lo, hi)}};
  };
  return {row(f32({5, 3}), {4}, 0, 0, 4), row(f32({2, 5, 3}), {2, 3}, 1, -5, 4), row(i32({4, 6}), {5}, -1, -6, 5), row(f32({7}), {}, 0, 3, 3), row(f32({3, 4}), {3}, 1, -9, 9),
          row(f32({2, 3}), {0}, 0, 0, 1), row(f32({9, 70}), {40}, 0, -9, 8)};
}

// ---- gather_grad(dy, indices) -> dx; attrs axis, input = the shape of x ----

std::vector<TensorDesc> gather_grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("gather_grad", label, in);
  check.count(2);
  check.dtype(0, "dy", DType::f32), check.dtype(1, "indices", DType::i32);
  const TensorDesc x = f32(Shape(attrs.integers("input", {})));
  const std::vector<TensorDesc> forward{x, in[1]};
  check.shape(0, "dy", gather_shape(attrs, forward, label)[0].shape);
  return {x};
}

void gather_grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Lines s = lines_of(out[0].shape, axis_of(attrs, out[0].shape.rank(), "gather_grad", "reference", 0));
  size_t y = 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (double index : in[1].data)
      for (int64_t i = 0; i < s.inner; ++i) out[0][(size_t(o * s.n) + wrapped(index, s.n)) * size_t(s.inner) + size_t(i)] += in[0][y++];
}

void gather_grad_lower(Lowering& l) {
  const TensorDesc &dy = l.in_desc(0), &dx = l.out_desc(0);
  if (dx.elements() == 0) return;
  require_bindable(l, {dy, l.in_desc(1), dx});
  const int64_t count = l.in_desc(1).elements();
  check_line(l, count);
  const Lines s = lines_of(dx.shape, axis_of(l.attrs(), dx.shape.rank(), "gather_grad", l.label(), 0));
  const Binding from = count ? l.in(0) : l.out(0), indices = count ? l.in(1) : l.out(0);  // of nothing, nothing is read
  launch(l, kGatherGrad, 0, 0, {from, indices, l.out(0)},
         {uint32_t(dx.elements()), uint32_t(count), uint32_t(s.n), params::divisor(s.inner), params::divisor(s.n), 0, 0});
}

// ---- one_hot ----

std::vector<TensorDesc> one_hot_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("one_hot", label, in);
  check.count(1);
  check.dtype(0, "indices", DType::i32);
  const int64_t depth = attrs.integer("depth");
  check.require(depth >= 1 && depth < (int64_t(1) << 30), "got depth {}, expected at least 1. Fix: correct the attribute.", depth);
  Integers sizes = sizes_of(in[0].shape);
  sizes.insert(sizes.begin() + axis_of(attrs, in[0].shape.rank() + 1, "one_hot", label, -1), depth);
  return {f32(Shape(sizes))};
}

void one_hot_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Lines s = lines_of(out[0].shape, axis_of(attrs, out[0].shape.rank(), "one_hot", "reference", -1));
  size_t y = 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t k = 0; k < s.n; ++k)
      for (int64_t i = 0; i < s.inner; ++i) {
        const double index = in[0][size_t(o * s.inner + i)];
        out[0][y++] = (index < 0 ? index + double(s.n) : index) == double(k) ? attrs.number("on", 1) : attrs.number("off", 0);
      }
}

void one_hot_lower(Lowering& l) {
  const TensorDesc& y = l.out_desc(0);
  if (y.elements() == 0) return;
  require_bindable(l, {y});
  const Lines s = lines_of(y.shape, axis_of(l.attrs(), y.shape.rank(), "one_hot", l.label(), -1));
  launch(l, kOneHot, 0, 0, {l.in(0), l.in(0), l.out(0)},
         {uint32_t(y.elements()), 0, uint32_t(s.n), params::divisor(s.inner), params::divisor(s.n), float(l.attrs().number("on", 1)), float(l.attrs().number("off", 0))});
}

std::vector<Case> one_hot_cases() {
  return {{.in = {i32({7})}, .attrs = {{"depth", 4}}, .fill = {Fill::index(-5, 5)}},
          {.in = {i32({2, 3})}, .attrs = {{"depth", 5}, {"axis", 1}, {"on", 2.5}, {"off", -1.0}}, .fill = {Fill::index(0, 4)}},
          {.in = {i32({})}, .attrs = {{"depth", 3}, {"axis", 0}}, .fill = {Fill::index(1, 1)}}};
}

// ---- cumsum ----

std::vector<TensorDesc> cumsum_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("cumsum", label, in);
  check.count(1);
  check.dtype(0, "x", DType::f32);
  axis_of(attrs, in[0].shape.rank(), "cumsum", label, 0);
  return {in[0]};
}

void cumsum_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Lines s = lines_of(in[0].shape, axis_of(attrs, in[0].shape.rank(), "cumsum", "reference", 0));
  const bool exclusive = attrs.integer("exclusive", 0) != 0, reverse = attrs.integer("reverse", 0) != 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      double total = 0;
      for (int64_t k = 0; k < s.n; ++k) {
        const size_t at = size_t((o * s.n + (reverse ? s.n - 1 - k : k)) * s.inner + i);
        const double before = total;
        total += in[0][at];
        out[0][at] = exclusive ? before : total;
      }
    }
}

void cumsum_gradient(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(cumsum, Attrs(g.attrs()).set("reverse", int64_t(g.attrs().integer("reverse", 0) == 0)), {g.grad()}, "grad")[0]);
}

void cumsum_lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  if (x.elements() == 0) return;
  require_bindable(l, {x});
  const Lines s = lines_of(x.shape, axis_of(l.attrs(), x.shape.rank(), "cumsum", l.label(), 0));
  check_line(l, s.n);
  launch(l, kCumsum, uint32_t(l.attrs().integer("exclusive", 0) != 0), uint32_t(l.attrs().integer("reverse", 0) != 0), {l.in(0), l.in(0), l.out(0)},
         {uint32_t(s.outer * s.inner), uint32_t(s.n), 1, params::divisor(s.inner), params::divisor(1), 0, 0});
}

std::vector<Case> cumsum_cases() {
  std::vector<Case> cases;
  for (int exclusive : {0, 1})
    for (int reverse : {0, 1}) cases.push_back({.in = {f32({3, 5, 4})}, .attrs = {{"axis", 1}, {"exclusive", exclusive}, {"reverse", reverse}}});
  cases.push_back({.in = {f32({300})}});
  return cases;
}

}  // namespace

const OpDef gather{.name = "gather",
                   .shape = gather_shape,
                   .reference = gather_reference,
                   .grad = gather_gradient,
                   .lower = gather_lower,
                   .cost = elementwise_cost<0>,
                   .cases = gather_cases,
                   .exact_on_integers = true,
                   .error = 0};

const OpDef gather_grad{.name = "gather_grad",
                        .shape = gather_grad_shape,
                        .reference = gather_grad_reference,
                        .lower = gather_grad_lower,
                        .exact_on_integers = true,
                        .error = 1e-6};

const OpDef one_hot{.name = "one_hot",
                    .shape = one_hot_shape,
                    .reference = one_hot_reference,
                    .lower = one_hot_lower,
                    .cost = elementwise_cost<0>,
                    .cases = one_hot_cases,
                    .exact_on_integers = true,
                    .error = 0};

const OpDef cumsum{.name = "cumsum",
                   .shape = cumsum_shape,
                   .reference = cumsum_reference,
                   .grad = cumsum_gradient,
                   .lower = cumsum_lower,
                   .cost = elementwise_cost<1>,
                   .cases = cumsum_cases,
                   .exact_on_integers = true,
                   .error = 2e-6};

}  // namespace vkfer::ops
