// binary and where: functions of two numbers and a choice between two, element by element, with numpy's broadcasting.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/functions.h"

namespace vkfer::ops {

namespace {

enum class Kind : uint8_t { arithmetic, comparison, logic };  // gives what it takes; gives i32; takes and gives i32, 0 or 1

using Value2 = double (*)(double a, double b);

struct Function {
  const char* name;
  Kind kind;
  Value2 value, slope_a = nullptr, slope_b = nullptr;
};

double remainder_down(double a, double b) { return a - std::floor(a / b) * b; }
double select_minimum(double a, double b) { return std::isnan(a) ? a : std::isnan(b) ? b : std::min(a, b); }
double select_maximum(double a, double b) { return std::isnan(a) ? a : std::isnan(b) ? b : std::max(a, b); }

#define F(e) []([[maybe_unused]] double a, [[maybe_unused]] double b) -> double { return e; }
// By number: shaders/params/functions.h.
const Function kFunctions[] = {
    {"add", Kind::arithmetic, F(a + b), F(1), F(1)},
    {"sub", Kind::arithmetic, F(a - b), F(1), F(-1)},
    {"mul", Kind::arithmetic, F(a * b), F(b), F(a)},
    {"div", Kind::arithmetic, F(a / b), F(1 / b), F(-a / (b * b))},
    {"pow", Kind::arithmetic, F(std::pow(a, b)), F(b == 0 ? 0 : b * std::pow(a, b - 1)), F(a == 0 && b >= 0 ? 0 : std::pow(a, b) * std::log(a))},
    {"min", Kind::arithmetic, F(select_minimum(a, b)), F(a == b ? 0.5 : a < b), F(a == b ? 0.5 : b < a)},
    {"max", Kind::arithmetic, F(select_maximum(a, b)), F(a == b ? 0.5 : a > b), F(a == b ? 0.5 : b > a)},
    {"prelu", Kind::arithmetic, F(a < 0 ? a * b : a), F(a < 0 ? b : 1), F(a < 0 ? a : 0)},
    {"mod", Kind::arithmetic, F(remainder_down(a, b)), F(1), F(-std::floor(a / b))},
    {"fmod", Kind::arithmetic, F(std::fmod(a, b)), F(1), F(-std::trunc(a / b))},
    {"equal", Kind::comparison, F(a == b)},
    {"less", Kind::comparison, F(a < b)},
    {"less_equal", Kind::comparison, F(a <= b)},
    {"greater", Kind::comparison, F(a > b)},
    {"greater_equal", Kind::comparison, F(a >= b)},
    {"and", Kind::logic, F(a != 0 && b != 0)},
    {"or", Kind::logic, F(a != 0 || b != 0)},
    {"xor", Kind::logic, F((a != 0) != (b != 0))},
};
#undef F
static_assert(std::size(kFunctions) == params::kXor + 1);

uint32_t number_of(const Attrs& attrs, std::string_view op, std::string_view label) { return function_number(kFunctions, attrs, op, label); }

bool is_number(DType t) { return t == DType::f32 || t == DType::i32; }

void check_numbers(const InputCheck& check, std::span<const TensorDesc> in, size_t i, std::string_view name) {
  check.require(is_number(in[i].dtype), "{} is stored as {}, expected f32 or i32. Fix: insert a cast.", name, dtype_name(in[i].dtype));
}

// One launch for every part of dimension 0 that can be bound, over a, b and c (or nothing in its place) broadcast to y.
// `inputs` are the node's that are a, b and c.
void lower_broadcast(Lowering& l, const std::vector<int>& inputs, uint32_t function, bool integer, uint32_t side) {
  const TensorDesc y = l.out_desc(0);
  if (y.elements() == 0) return;
  std::vector<TensorDesc> cut{y};  // those whose rows are those of y
  std::vector<bool> has_rows;
  for (int i : inputs) {
    const TensorDesc& t = l.in_desc(i);
    has_rows.push_back(y.shape.rank() && t.shape.rank() == y.shape.rank() && t.shape[0] == y.shape[0] && y.shape[0] != 1);
    if (has_rows.back()) cut.push_back(t);
    else require_bindable(l, {t});
  }
  for (Slice s : y.shape.rank() ? l.batch_slices(cut) : std::vector<Slice>{{0, 1}}) {
    const Shape part = with_rows(y.shape, s.count);
    Walk walk{sizes_of(part), {}};
    std::vector<Binding> bindings;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Shape& whole = l.in_desc(inputs[i]).shape;
      walk.strides.push_back(broadcast_strides(has_rows[i] ? with_rows(whole, s.count) : whole, part));
      bindings.push_back(has_rows[i] ? l.in(inputs[i], s) : l.in(inputs[i]));
    }
    if (inputs.size() == 2) bindings.push_back(bindings[0]);
    bindings.push_back(y.shape.rank() ? l.out(0, s) : l.out(0));
    walk = walk.joined();
    bindings.push_back(walk_table(l, walk));
    const bool four = walk.in_fours();
    const int64_t units = walk.elements() / (four ? 4 : 1);
    uint32_t packed = 0;
    for (size_t i = 0; i < inputs.size() && four; ++i) packed |= uint32_t(walk.packed(i)) << i;
    const params::Strided push{uint32_t(units), units_per_invocation(l, units), uint32_t(walk.sizes.size()), 0, 0, 0};
    l.dispatch("broadcast.f32", {l.target.workgroup, function, uint32_t(integer), uint32_t(four), packed, side, uint32_t(inputs.size() == 3)}, bindings, push,
               groups_for_units(l, units, push.per_invocation));
  }
}

// visit(element of y, offsets of the inputs)
template <class Visit>
void for_each_broadcast(std::span<const HostTensor> in, const Shape& y, Visit visit) {
  Walk walk{sizes_of(y), {}};
  for (const HostTensor& t : in) walk.strides.push_back(broadcast_strides(t.shape, y));
  size_t i = 0;
  for_each_place(walk, [&](const std::vector<int64_t>& at) { visit(i++, at); });
}

// ---- binary ----

std::vector<TensorDesc> binary_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("binary", label, in);
  const Function& f = kFunctions[number_of(attrs, "binary", label)];
  check.count(2);
  if (f.kind == Kind::logic) check.dtype(0, "a", DType::i32);
  check_numbers(check, in, 0, "a");
  check.same_type(1, "b", 0, "a");
  const uint32_t number = uint32_t(&f - kFunctions);
  if (number == params::kDivide || number == params::kPower || number == params::kMod || number == params::kFmod) {
    const int64_t integer = attrs.integer("integer", 0);
    check.require(integer == int64_t(in[0].dtype == DType::i32), "got integer={} for {} of {}, expected {}. Fix: correct the attribute.", integer, f.name,
                  dtype_name(in[0].dtype), int(in[0].dtype == DType::i32));
  }
  return {{broadcast_shape("binary", label, in[0].shape, in[1].shape), f.kind == Kind::comparison ? DType::i32 : in[0].dtype}};
}

// Integers are divided towards zero, as ONNX says; the reference sees no types, so an attribute tells it: integer = 1 for i32.
void binary_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const uint32_t number = number_of(attrs, "binary", "reference");
  const bool integer = attrs.integer("integer", 0) != 0;
  for_each_broadcast(in, out[0].shape, [&](size_t i, const std::vector<int64_t>& at) {
    const double a = in[0][size_t(at[0])], b = in[1][size_t(at[1])];
    const bool by_zero = integer && b == 0 && (number == params::kDivide || number == params::kMod || number == params::kFmod);
    const double v = by_zero ? 0 : kFunctions[number].value(a, b);
    out[0][i] = integer ? std::trunc(v) : v;
  });
}

void binary_gradient(Gradient& g) {
  const Function& f = kFunctions[number_of(g.attrs(), "binary", "gradient")];
  if (!f.slope_a) return;
  const std::string name = f.name;
  for (int i = 0; i < 2; ++i) {
    if (!g.wants(i)) continue;
    const std::string suffix = i ? "grad_b" : "grad_a";
    Value d = g.grad();
    if (name == "sub" && i == 1) d = g.add(unary, {{"function", "neg"}}, {d}, suffix)[0];
    else if (name != "add" && name != "sub")
      d = g.add(binary_grad, {{"function", name}, {"side", i}}, {g.in(0), g.in(1), d}, suffix)[0];
    g.set(i, summed_to(g, d, g.in(i), suffix + "_sum"));
  }
}

void binary_lower(Lowering& l) {
  lower_broadcast(l, {0, 1}, number_of(l.attrs(), "binary", l.label()), l.in_desc(0).dtype == DType::i32, 0);
}

std::vector<Case> binary_cases() {
  std::vector<Case> cases;
  const std::pair<Shape, Shape> shapes[] = {{{2, 3, 5, 8}, {2, 3, 5, 8}}, {{3, 5, 7}, {7}}, {{4, 6, 8}, {8}}, {{2, 1, 4, 1}, {3, 1, 8}}, {{3, 5}, {}}, {{1, 7}, {6, 1}}};
  size_t next = 0;
  for (const Function& f : kFunctions) {
    const std::string name = f.name;
    const auto [a, b] = shapes[next++ % std::size(shapes)];
    const Attrs attrs{{"function", name}}, whole = Attrs(attrs).set("integer", 1);
    const Fill number = Fill::index(-4, 4);
    cases.push_back({.in = {i32(a), i32(b)}, .attrs = whole, .fill = {number, name == "pow" ? Fill::index(0, 4) : number}});
    if (f.kind == Kind::logic) continue;
    const Fill positive = Fill::real(0.5, 3), any = Fill::real(-3, 3);
    const bool divides = name == "div" || name == "mod" || name == "fmod";
    if (f.kind == Kind::comparison) cases.push_back({.in = {f32(a), f32(b)}, .attrs = attrs, .fill = {Fill::fixed({1, 0.5, -2}), Fill::fixed({0.5, 1, -2, 3})}});
    else cases.push_back({.in = {f32(a), f32(b)}, .attrs = attrs, .fill = {name == "pow" ? positive : any, divides ? positive : any}});
  }
  for (const auto& [a, b] : shapes) cases.push_back({.in = {f32(b), f32(a)}, .attrs = {{"function", "mul"}}});
  const Fill signs = Fill::fixed({7, -7, 5.5, -5.5, 6, -6, 0, 1}), divisors = Fill::fixed({3, 3, -3, -3, 2, -2, 5, -0.1, 0.1});
  for (const char* name : {"mod", "fmod"}) {
    cases.push_back({.in = {f32({8, 9}), f32({8, 9})}, .attrs = {{"function", name}}, .fill = {signs, divisors}});
    cases.push_back({.in = {i32({8, 9}), i32({8, 9})}, .attrs = {{"function", name}, {"integer", 1}}, .fill = {Fill::index(-20, 20), Fill::index(-7, 7)}});
  }
  cases.push_back({.in = {f32({5, 4}), f32({4})}, .attrs = {{"function", "pow"}}, .fill = {Fill::real(0.1, 9), Fill::fixed({2, 0.5, -1.5, 3})}});
  cases.push_back({.in = {f32({5, 4}), f32({4})}, .attrs = {{"function", "pow"}}, .fill = {Fill::real(-2, -1), Fill::fixed({2, 3, -1, 70})}});
  cases.push_back({.in = {f32({2, 0, 3}), f32({3})}, .attrs = {{"function", "add"}}});
  cases.push_back({.in = {f32({2, 12, 23, 12}), f32({2, 1, 1, 12})}, .attrs = {{"function", "add"}}});
  cases.push_back({.in = {f32({2, 2, 2, 2, 2, 3, 1, 4}), f32({2, 1, 2, 1, 2, 1, 2, 1})}, .attrs = {{"function", "sub"}}});
  return cases;
}

// ---- binary_grad: by a (side 0) or by b (side 1) ----

std::vector<TensorDesc> grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("binary_grad", label, in);
  const Function& f = kFunctions[number_of(attrs, "binary_grad", label)];
  check.count(3);
  for (size_t i = 0; i < 3; ++i) check.dtype(i, i == 0 ? "a" : i == 1 ? "b" : "dy", DType::f32);
  const int64_t side = attrs.integer("side");
  check.require(side == 0 || side == 1, "got side={}, expected 0 or 1. Fix: correct the attribute.", side);
  check.require(f.slope_a, "{} has no slope. Fix: leave it out.", f.name);
  check.shape(2, "dy", broadcast_shape("binary_grad", label, in[0].shape, in[1].shape));
  return {in[2]};
}

void grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Function& f = kFunctions[number_of(attrs, "binary_grad", "reference")];
  const Value2 slope = attrs.integer("side") ? f.slope_b : f.slope_a;
  for_each_broadcast(in, out[0].shape, [&](size_t i, const std::vector<int64_t>& at) {
    out[0][i] = in[2][size_t(at[2])] * slope(in[0][size_t(at[0])], in[1][size_t(at[1])]);
  });
}

void grad_lower(Lowering& l) {
  lower_broadcast(l, {0, 1, 2}, number_of(l.attrs(), "binary_grad", l.label()), false, uint32_t(l.attrs().integer("side")) + 1);
}

// ---- where(condition, a, b) ----

std::vector<TensorDesc> where_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("where", label, in);
  check.count(3);
  check.dtype(0, "condition", DType::i32);
  check_numbers(check, in, 1, "a");
  check.same_type(2, "b", 1, "a");
  return {{broadcast_shape("where", label, broadcast_shape("where", label, in[0].shape, in[1].shape), in[2].shape), in[1].dtype}};
}

void where_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for_each_broadcast(in, out[0].shape, [&](size_t i, const std::vector<int64_t>& at) {
    out[0][i] = in[0][size_t(at[0])] != 0 ? in[1][size_t(at[1])] : in[2][size_t(at[2])];
  });
}

// dy where it was chosen, else 0: dy times the condition would make infinity of nothing.
void where_gradient(Gradient& g) {
  if (!g.wants(1) && !g.wants(2)) return;
  const Value none = g.add(unary, {{"function", "clip"}, {"lo", 0.0}, {"hi", 0.0}}, {g.grad()}, "zero")[0];
  for (int i : {1, 2}) {
    if (!g.wants(i)) continue;
    const std::string suffix = i == 1 ? "grad_a" : "grad_b";
    const Value d = g.add(where, {}, {g.in(0), i == 1 ? g.grad() : none, i == 1 ? none : g.grad()}, suffix)[0];
    g.set(i, summed_to(g, d, g.in(i), suffix + "_sum"));
  }
}

void where_lower(Lowering& l) { lower_broadcast(l, {1, 2, 0}, params::kWhere, false, 0); }

std::vector<Case> where_cases() {
  const Fill condition = Fill::index(0, 1);
  return {{.in = {i32({2, 3, 4}), f32({2, 3, 4}), f32({2, 3, 4})}, .fill = {condition, Fill::real(), Fill::real()}},
          {.in = {i32({4, 1}), f32({3, 1, 5}), f32({})}, .fill = {Fill::index(-1, 1), Fill::real(), Fill::real()}},
          {.in = {i32({5, 1}), i32({5, 7}), i32({7})}, .fill = {condition, Fill::index(-9, 9), Fill::index(-9, 9)}},
          {.in = {i32({3, 8}), f32({8}), f32({2, 1, 8})}, .fill = {condition, Fill::real(), Fill::real()}},
          {.in = {i32({1}), f32({0}), f32({1})}, .fill = {condition, Fill::real(), Fill::real()}}};
}

}  // namespace

const OpDef binary{.name = "binary",
                   .shape = binary_shape,
                   .reference = binary_reference,
                   .grad = binary_gradient,
                   .lower = binary_lower,
                   .cost = elementwise_cost<1>,
                   .cases = binary_cases,
                   .in_place = {{0, 0}, {0, 1}},
                   .exact_on_integers = true,
                   .error = 4e-6};  // powers as exp(b log a): its argument is off by what it is large

const OpDef binary_grad{.name = "binary_grad",
                        .shape = grad_shape,
                        .reference = grad_reference,
                        .lower = grad_lower,
                        .cost = elementwise_cost<3>,
                        .exact_on_integers = true,
                        .error = 2e-6};

const OpDef where{.name = "where",
                  .shape = where_shape,
                  .reference = where_reference,
                  .grad = where_gradient,
                  .lower = where_lower,
                  .cost = elementwise_cost<1>,
                  .cases = where_cases,
                  .exact_on_integers = true,
                  .error = 0};

}  // namespace vkfer::ops
