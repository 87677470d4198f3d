// reduce and arg_reduce: sums, products, norms and extremes along any dimensions, as ONNX defines them; cumsum.
#include <cmath>
#include <limits>

#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/reduce.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kMostTurns = 60000;  // of an invocation's loop: lavapipe ends loops after 65,535

// ---- reduce ----

struct Function {
  const char* name;
  uint32_t prepare, combine, finish;
  bool whole;  // of i32 as well
};
const Function kFunctions[] = {
    {"sum", params::kPlain, params::kSum, params::kAsIs, true},
    {"mean", params::kPlain, params::kSum, params::kScaled, false},
    {"max", params::kPlain, params::kMost, params::kAsIs, true},
    {"min", params::kPlain, params::kLeast, params::kAsIs, true},
    {"prod", params::kPlain, params::kProduct, params::kAsIs, true},
    {"l1", params::kMagnitude, params::kSum, params::kAsIs, true},
    {"l2", params::kSquare, params::kSum, params::kRoot, false},
    {"sum_square", params::kSquare, params::kSum, params::kAsIs, true},
    {"log_sum", params::kPlain, params::kSum, params::kLogarithm, false},
    {"log_sum_exp", params::kExponential, params::kSum, params::kShiftedLogarithm, false},
};

const Function& function_of(const Attrs& attrs, std::string_view label) {
  const std::string name = attrs.text("function", "");
  for (const Function& f : kFunctions)
    if (name == f.name) return f;
  std::string names;
  for (const Function& f : kFunctions) names += fmt::format("{}{}", names.empty() ? "" : ", ", f.name);
  fail("reduce", "'{}': got function='{}', expected one of {}. Fix: correct the attribute.", label, name, names);
}

// Which dimensions are reduced; axes = {}: all.
std::vector<bool> reduced_of(const Attrs& attrs, int rank, std::string_view label) {
  const Integers axes = attrs.integers("axes", {});
  std::vector<bool> reduced(size_t(rank), axes.empty());
  for (int64_t axis : axes) {
    const int64_t d = axis < 0 ? axis + rank : axis;
    if (d < 0 || d >= rank || reduced[size_t(d)])
      fail("reduce", "'{}': got axes {} for {} dimensions, expected different ones from {} to {}. Fix: correct the attribute.", label, fmt::join(axes, ","),
           rank, -rank, rank - 1);
    reduced[size_t(d)] = true;
  }
  return reduced;
}

Shape reduced_shape(const Shape& x, const std::vector<bool>& reduced, bool keep) {
  Integers sizes;
  for (int i = 0; i < x.rank(); ++i)
    if (!reduced[size_t(i)] || keep) sizes.push_back(reduced[size_t(i)] ? 1 : x[i]);
  return Shape(sizes);
}

std::vector<TensorDesc> reduce_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("reduce", label, in);
  const Function& f = function_of(attrs, label);
  check.count(1);
  if (!f.whole || in[0].dtype != DType::i32) check.dtype(0, "x", DType::f32);
  return {{reduced_shape(in[0].shape, reduced_of(attrs, in[0].shape.rank(), label), attrs.integer("keepdims", 1) != 0), in[0].dtype}};
}

// The dimensions that are kept and those that are reduced, both over x.
struct Parts {
  Walk kept, reduced;
};
Parts parts_of(const Shape& x, const std::vector<bool>& reduced) {
  Parts p{{{}, {{}}}, {{}, {{}}}};
  const std::vector<int64_t> strides = strides_of(x);
  for (size_t d = 0; d < strides.size(); ++d) {
    Walk& w = reduced[d] ? p.reduced : p.kept;
    w.sizes.push_back(x[int(d)]);
    w.strides[0].push_back(strides[d]);
  }
  return p;
}

double combined(const Function& f, double s, double t) {
  switch (f.combine) {
    case params::kProduct: return s * t;
    case params::kMost: return std::max(s, t);
    case params::kLeast: return std::min(s, t);
  }
  return s + t;
}

double start_of(const Function& f) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return f.combine == params::kSum ? 0 : f.combine == params::kProduct ? 1 : f.combine == params::kMost ? -infinity : infinity;
}

void reduce_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Function& f = function_of(attrs, "reference");
  const Parts parts = parts_of(in[0].shape, reduced_of(attrs, in[0].shape.rank(), "reference"));
  size_t o = 0;
  for_each_place(parts.kept, [&](const std::vector<int64_t>& base) {
    double most = -std::numeric_limits<double>::infinity(), total = start_of(f);
    if (f.prepare == params::kExponential)
      for_each_place(parts.reduced, [&](const std::vector<int64_t>& at) { most = std::max(most, in[0][size_t(base[0] + at[0])]); });
    const double shift = std::isfinite(most) ? most : 0;
    for_each_place(parts.reduced, [&](const std::vector<int64_t>& at) {
      const double v = in[0][size_t(base[0] + at[0])];
      total = combined(f, total, f.prepare == params::kMagnitude ? std::abs(v) : f.prepare == params::kSquare ? v * v : f.prepare == params::kExponential ? std::exp(v - shift) : v);
    });
    switch (f.finish) {
      case params::kScaled: total /= double(parts.reduced.elements()); break;
      case params::kRoot: total = std::sqrt(total); break;
      case params::kLogarithm: total = std::log(total); break;
      case params::kShiftedLogarithm: total = std::log(total) + shift; break;
    }
    out[0][o++] = total;
  });
}

void reduce_gradient(Gradient& g) {
  if (!g.wants(0)) return;
  const std::string name = function_of(g.attrs(), "gradient").name;
  const Value x = g.in(0);
  const Shape shape = g.graph.shape(x);
  const std::vector<bool> reduced = reduced_of(g.attrs(), shape.rank(), "gradient");
  const Integers kept = sizes_of(reduced_shape(shape, reduced, true));
  const auto with_ones = [&](Value v, const char* suffix) { return sizes_of(g.graph.shape(v)) == kept ? v : g.add(reshape, {{"shape", kept}}, {v}, suffix)[0]; };
  const auto two = [&](const char* function, Value a, Value b, const char* suffix) { return g.add(binary, {{"function", function}}, {a, b}, suffix)[0]; };
  const auto one = [&](const char* function, Value a, const char* suffix) { return g.add(unary, {{"function", function}}, {a}, suffix)[0]; };
  const Value dy = with_ones(g.grad(), "dy");
  const auto y = [&] { return with_ones(g.out(0), "y"); };
  const auto expanded = [&](Value v) { return g.add(expand, {{"shape", sizes_of(shape)}}, {v}, "grad")[0]; };
  if (name == "sum") return g.set(0, expanded(dy));
  if (name == "mean") return g.set(0, expanded(g.add(scale, {{"factor", double(g.graph.shape(dy).elements()) / double(shape.elements())}}, {dy}, "mean")[0]));
  if (name == "prod") return g.set(0, two("mul", two("div", y(), x, "others"), dy, "grad"));
  if (name == "l1") return g.set(0, two("mul", one("sign", x, "sign"), dy, "grad"));
  if (name == "l2") {  // 0 where all are 0, as torch's norm
    const Value norm = g.add(unary, {{"function", "clip"}, {"lo", 1e-30}}, {y()}, "norm")[0];
    return g.set(0, two("mul", x, two("div", dy, norm, "factor"), "grad"));
  }
  if (name == "sum_square") return g.set(0, two("mul", x, g.add(scale, {{"factor", 2.0}}, {dy}, "twice")[0], "grad"));
  if (name == "log_sum") return g.set(0, expanded(two("div", dy, one("exp", y(), "sum"), "factor")));
  if (name == "log_sum_exp") return g.set(0, two("mul", one("exp", two("sub", x, y(), "log_share"), "share"), dy, "grad"));
  // Equal extremes share the slope, as torch's amax.
  const Value is_extreme = two("equal", x, y(), "extreme");
  const Value ones = g.add(unary, {{"function", "clip"}, {"lo", 1.0}, {"hi", 1.0}}, {dy}, "one")[0];
  const Value none = g.add(unary, {{"function", "clip"}, {"lo", 0.0}, {"hi", 0.0}}, {dy}, "zero")[0];
  Attrs sum = g.attrs();
  sum.set("function", "sum").set("keepdims", 1);
  const Value count = g.add(reduce, sum, {g.add(where, {}, {is_extreme, ones, none}, "extremes")[0]}, "count")[0];
  g.set(0, g.add(where, {}, {is_extreme, two("div", dy, count, "share"), none}, "grad")[0]);
}

// One pass: `reduced` elements to one, `slices` to an output.
struct Pass {
  Binding x, m, y;
  Walk kept, reduced;
  Function f;
  int64_t per_slice, slices;
  double factor;
};

void lower_pass(Lowering& l, const Pass& p) {
  const Walk kept = p.kept.joined(), reduced = p.reduced.joined();
  const int64_t outputs = kept.elements(), elements = reduced.elements();
  std::vector<params::StridedDim> dims;
  for (const Walk* w : {&kept, &reduced})
    for (size_t d = w->sizes.size(); d-- > 0;) dims.push_back({params::divisor(std::max<int64_t>(w->sizes[d], 1)), int(w->strides[0][d]), 0, 0});
  const params::Reduce push{uint32_t(outputs * p.slices), uint32_t(elements), uint32_t(p.per_slice), uint32_t(kept.sizes.size()),
                            uint32_t(reduced.sizes.size()), float(p.factor), params::divisor(outputs)};
  l.dispatch("reduce.f32", {l.target.workgroup, p.f.prepare, p.f.combine, p.f.finish, uint32_t(l.in_desc(0).dtype == DType::i32)},
             {p.x, p.m, p.y, l.table(std::as_bytes(std::span<const params::StridedDim>(dims)))}, push, groups_for_single(l, push.count));
}

// As many passes as it takes until every output is one number; the first prepares, the last finishes.
void lower_reduction(Lowering& l, Parts parts, Binding x, Binding m, Binding y, const Function& f) {
  constexpr int64_t kLeastSliced = 64, kMostSliced = 1024;
  const int64_t outputs = parts.kept.elements();
  const double factor = 1 / double(parts.reduced.elements());
  for (bool first = true;; first = false) {
    const int64_t elements = parts.reduced.elements();
    const int64_t wanted = divide_round_up(int64_t(l.target.parallel_groups) * l.target.workgroup, outputs);
    const int64_t per_slice = std::clamp(divide_round_up(elements, wanted), kLeastSliced, kMostSliced);
    const int64_t slices = std::max<int64_t>(divide_round_up(elements, per_slice), 1);
    const Binding to = slices == 1 ? y : l.workspace(size_t(outputs * slices) * 4);
    lower_pass(l, {x, m, to, parts.kept, parts.reduced,
                   {f.name, first ? f.prepare : params::kPlain, f.combine, slices == 1 ? f.finish : params::kAsIs, f.whole}, per_slice, slices, factor});
    if (slices == 1) return;
    x = to;
    parts = {{{outputs}, {{1}}}, {{slices}, {{outputs}}}};
  }
}

void reduce_lower(Lowering& l) {
  const Function& f = function_of(l.attrs(), l.label());
  const TensorDesc &x = l.in_desc(0), &y = l.out_desc(0);
  if (y.elements() == 0) return;
  require_bindable(l, {x, y});
  const Parts parts = parts_of(x.shape, reduced_of(l.attrs(), x.shape.rank(), l.label()));
  const Binding from = x.elements() ? l.in(0) : l.out(0);  // of nothing, nothing is read
  Binding most = from;
  if (f.prepare == params::kExponential) {
    most = l.workspace(y.bytes());
    lower_reduction(l, parts, from, from, most, kFunctions[2]);
  }
  lower_reduction(l, parts, from, most, l.out(0), f);
}

Cost reduce_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<0>(attrs, in, out);
  c.flops = double(in[0].elements());
  return c;
}

std::vector<Case> reduce_cases() {
  std::vector<Case> cases;
  const auto row = [&](const char* function, Shape x, Integers axes, bool keep, Fill fill = Fill::real()) {
    cases.push_back({.in = {f32(x)}, .attrs = {{"function", function}, {"axes", axes}, {"keepdims", keep}}, .fill = {fill}});
  };
  bool keep = false;
  for (const Function& f : kFunctions) {
    const Fill fill = std::string_view(f.name) == "prod" ? Fill::real(0.5, 1.5) : std::string_view(f.name) == "log_sum" ? Fill::real(0.1, 3) : Fill::real(-2, 2);
    row(f.name, {3, 4, 5}, {1}, keep, fill);
    row(f.name, {2, 3, 4, 5}, {-1, 0}, !keep, fill);
    keep = !keep;
    if (f.whole) cases.push_back({.in = {i32({3, 4, 2})}, .attrs = {{"function", f.name}, {"axes", Integers{0, 2}}}, .fill = {Fill::index(-3, 3)}});
  }
  row("sum", {7}, {}, false);
  row("mean", {2, 9, 11, 8}, {1, 2}, true);
  row("sum", {5, 70, 3}, {1}, false);
  row("max", {3, 100, 45}, {1, 2}, false);
  row("log_sum_exp", {3, 700}, {1}, false, Fill::real(80, 100));
  row("l2", {6, 2500}, {}, false);
  row("sum", {2, 2, 2, 3, 2, 2, 2, 2}, {0, 2, 4, 6}, false);
  row("sum", {3, 0, 2}, {1}, true);
  row("prod", {0}, {}, false);
  row("sum", {3, 1}, {1}, false);
  cases.push_back({.in = {f32({})}, .attrs = {{"function", "sum_square"}}});
  cases.push_back({.in = {f32({4, 6})}, .attrs = {{"function", "max"}, {"axes", Integers{1}}}, .fill = {Fill::fixed({1, 3, 3, -1, 3})}});
  return cases;
}

// ---- what goes along one dimension ----

struct LineShape {
  int64_t outer = 1, n = 1, inner = 1;
};
LineShape lines_of(const Shape& s, int axis) {
  LineShape l{.n = s[axis]};
  for (int i = 0; i < axis; ++i) l.outer *= s[i];
  for (int i = axis + 1; i < s.rank(); ++i) l.inner *= s[i];
  return l;
}

int axis_of(const Attrs& attrs, const Shape& s, std::string_view op, std::string_view label, int64_t fallback) {
  const int64_t axis = attrs.integer("axis", fallback), d = axis < 0 ? axis + s.rank() : axis;
  if (d < 0 || d >= s.rank())
    fail(op, "'{}': got axis {} for {}, expected one from {} to {}. Fix: correct the attribute.", label, axis, s.to_string(), -s.rank(), s.rank() - 1);
  return int(d);
}

void check_line(const Lowering& l, int64_t n) {
  if (n > kMostTurns)
    fail("plan", "'{}': got {} elements along the axis, expected at most {}. Fix: split the dimension", l.label(), n, kMostTurns);
}

params::Lines lines_push(const LineShape& s) { return {uint32_t(s.outer * s.inner), uint32_t(s.n), 0, params::divisor(s.inner), params::divisor(1), 0, 0}; }

// ---- arg_reduce ----

bool is_argmin(const Attrs& attrs, std::string_view label) {
  const std::string name = attrs.text("function", "");
  if (name != "argmax" && name != "argmin") fail("arg_reduce", "'{}': got function='{}', expected argmax or argmin. Fix: correct the attribute.", label, name);
  return name == "argmin";
}

std::vector<TensorDesc> arg_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("arg_reduce", label, in);
  check.count(1);
  is_argmin(attrs, label);
  if (in[0].dtype != DType::i32) check.dtype(0, "x", DType::f32);
  const int axis = axis_of(attrs, in[0].shape, "arg_reduce", label, 0);
  check.require(in[0].shape[axis] > 0, "x is empty along axis {} ({}), expected an element. Fix: check the layers that feed it.", axis, in[0].to_string());
  std::vector<bool> reduced(size_t(in[0].shape.rank()), false);
  reduced[size_t(axis)] = true;
  return {{reduced_shape(in[0].shape, reduced, attrs.integer("keepdims", 1) != 0), DType::i32}};
}

void arg_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const LineShape s = lines_of(in[0].shape, axis_of(attrs, in[0].shape, "arg_reduce", "reference", 0));
  const double sign = is_argmin(attrs, "reference") ? -1 : 1;
  const bool last = attrs.integer("select_last", 0) != 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      int64_t best = 0;
      const auto at = [&](int64_t e) { return sign * in[0][size_t((o * s.n + e) * s.inner + i)]; };
      for (int64_t e = 1; e < s.n; ++e)
        if (at(e) > at(best) || (last && at(e) == at(best))) best = e;
      out[0][size_t(o * s.inner + i)] = double(best);
    }
}

void arg_lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  if (x.elements() == 0) return;
  require_bindable(l, {x});
  const LineShape s = lines_of(x.shape, axis_of(l.attrs(), x.shape, "arg_reduce", l.label(), 0));
  check_line(l, s.n);
  l.dispatch("arg_reduce.f32",
             {l.target.workgroup, uint32_t(is_argmin(l.attrs(), l.label())), uint32_t(l.attrs().integer("select_last", 0) != 0), uint32_t(x.dtype == DType::i32)},
             {l.in(0), l.out(0)}, lines_push(s), groups_for_single(l, s.outer * s.inner));
}

std::vector<Case> arg_cases() {
  std::vector<Case> cases;
  for (const char* function : {"argmax", "argmin"})
    for (int last : {0, 1}) {
      cases.push_back({.in = {f32({3, 7, 5})}, .attrs = {{"function", function}, {"axis", 1}, {"select_last", last}}, .fill = {Fill::fixed({1, 2, 2, 0, 0})}});
      cases.push_back({.in = {i32({4, 9})}, .attrs = {{"function", function}, {"axis", -1}, {"keepdims", 0}, {"select_last", last}}, .fill = {Fill::index(-2, 2)}});
    }
  cases.push_back({.in = {f32({40, 3})}, .attrs = {{"function", "argmax"}}});
  return cases;
}

// ---- softmax_axis ----

std::vector<TensorDesc> softmax_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("softmax_axis", label, in);
  check.count(1);
  check.dtype(0, "x", DType::f32);
  axis_of(attrs, in[0].shape, "softmax_axis", label, -1);
  return {in[0]};
}

void softmax_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const LineShape s = lines_of(in[0].shape, axis_of(attrs, in[0].shape, "softmax_axis", "reference", -1));
  const bool log = attrs.integer("log", 0) != 0;
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      const auto at = [&](int64_t e) { return size_t((o * s.n + e) * s.inner + i); };
      double most = -std::numeric_limits<double>::infinity(), total = 0;
      for (int64_t e = 0; e < s.n; ++e) most = std::max(most, in[0][at(e)]);
      for (int64_t e = 0; e < s.n; ++e) total += std::exp(in[0][at(e)] - most);
      for (int64_t e = 0; e < s.n; ++e) out[0][at(e)] = log ? in[0][at(e)] - most - std::log(total) : std::exp(in[0][at(e)] - most) / total;
    }
}

// softmax: y (dy - sum of dy y);  log: dy - exp(y) sum of dy
void softmax_gradient(Gradient& g) {
  if (!g.wants(0)) return;
  const auto two = [&](const char* function, Value a, Value b, const char* suffix) { return g.add(binary, {{"function", function}}, {a, b}, suffix)[0]; };
  const Attrs sum{{"function", "sum"}, {"axes", Integers{g.attrs().integer("axis", -1)}}, {"keepdims", 1}};
  const Value y = g.out(0), dy = g.grad();
  if (g.attrs().integer("log", 0) != 0) {
    const Value p = g.add(unary, {{"function", "exp"}}, {y}, "softmax")[0];
    return g.set(0, two("sub", dy, two("mul", p, g.add(reduce, sum, {dy}, "sum")[0], "share"), "grad"));
  }
  const Value total = g.add(reduce, sum, {two("mul", dy, y, "product")}, "sum")[0];
  g.set(0, two("mul", y, two("sub", dy, total, "difference"), "grad"));
}

void softmax_lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  if (x.elements() == 0) return;
  const int axis = axis_of(l.attrs(), x.shape, "softmax_axis", l.label(), -1);
  check_line(l, 3 * lines_of(x.shape, axis).n);
  for (Slice part : axis == 0 ? std::vector<Slice>{{0, x.shape[0]}} : l.batch_slices({x})) {
    if (axis == 0) require_bindable(l, {x});
    const LineShape s = lines_of(with_rows(x.shape, part.count), axis);
    l.dispatch("softmax_axis.f32", {l.target.workgroup, uint32_t(l.attrs().integer("log", 0) != 0)}, {l.in(0, part), l.out(0, part)}, lines_push(s),
               groups_for_single(l, s.outer * s.inner));
  }
}

std::vector<Case> softmax_cases() {
  std::vector<Case> cases;
  for (int log : {0, 1}) {
    cases.push_back({.in = {f32({3, 7})}, .attrs = {{"log", log}}, .fill = {Fill::real(-4, 4)}});
    cases.push_back({.in = {f32({2, 5, 3, 4})}, .attrs = {{"axis", 1}, {"log", log}}, .fill = {Fill::real(-4, 4)}});
    cases.push_back({.in = {f32({50, 9})}, .attrs = {{"axis", 0}, {"log", log}}, .fill = {Fill::real(90, 100)}});
    cases.push_back({.in = {f32({4, 1001})}, .attrs = {{"axis", -1}, {"log", log}}, .fill = {Fill::real(-9, 9)}});
  }
  cases.push_back({.in = {f32({2, 3})}, .attrs = {{"axis", 1}}, .fill = {Fill::fixed({1000, -1000, 0, 200, 199, -1e30})}});
  return cases;
}

}  // namespace

const OpDef reduce{.name = "reduce",
                   .shape = reduce_shape,
                   .reference = reduce_reference,
                   .grad = reduce_gradient,
                   .lower = reduce_lower,
                   .cost = reduce_cost,
                   .cases = reduce_cases,
                   .exact_on_integers = true,
                   .error = 2e-6};

const OpDef arg_reduce{.name = "arg_reduce",
                       .shape = arg_shape,
                       .reference = arg_reference,
                       .lower = arg_lower,
                       .cost = reduce_cost,
                       .cases = arg_cases,
                       .exact_on_integers = true,
                       .error = 0};

const OpDef softmax_axis{.name = "softmax_axis",
                         .shape = softmax_shape,
                         .reference = softmax_reference,
                         .grad = softmax_gradient,
                         .lower = softmax_lower,
                         .cost = elementwise_cost<12>,
                         .cases = softmax_cases,
                         .error = 2e-6};

}  // namespace vkfer::ops
