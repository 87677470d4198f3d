// transpose, expand, slice, pad, concat: elements move, nothing is computed.
#include <bit>
#include <numeric>

#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/functions.h"

namespace vkfer::ops {

namespace {

void check_word(const InputCheck& check, std::span<const TensorDesc> in, size_t i, std::string_view name) {
  check.require(in[i].dtype == DType::f32 || in[i].dtype == DType::i32, "{} is stored as {}, expected f32 or i32. Fix: insert a cast.", name,
                dtype_name(in[i].dtype));
}

// A walk over elements, with strides in x and in y; and where the first lies in each.
struct Move {
  Walk walk;
  int64_t first_x = 0, first_y = 0;
};

void lower_move(Lowering& l, const Move& m, Binding x, Binding y, bool fill = false, uint32_t value = 0) {
  const Walk walk = m.walk.joined();
  if (walk.elements() == 0) return;
  const bool four = walk.in_fours() && walk.packed(1) && m.first_y % 4 == 0;
  const int64_t units = walk.elements() / (four ? 4 : 1);
  const params::Strided push{uint32_t(units), units_per_invocation(l, units), uint32_t(walk.sizes.size()), value, int(m.first_x), int(m.first_y)};
  l.dispatch("strided_copy.f32", {l.target.workgroup, uint32_t(four), uint32_t(walk.packed(0) && m.first_x % 4 == 0), uint32_t(fill)},
             {x, y, walk_table(l, walk)}, push, groups_for_units(l, units, push.per_invocation));
}

// Of one input and one output whose rows along dimension 0 are each other's (or not): row_move(rows) for every part.
template <class RowMove>
void lower_rows(Lowering& l, bool by_rows, RowMove row_move) {
  const TensorDesc &x = l.in_desc(0), &y = l.out_desc(0);
  if (y.elements() == 0) return;
  if (!by_rows || y.shape.rank() == 0) {
    require_bindable(l, {x, y});
    return lower_move(l, row_move(y.shape.rank() ? y.shape[0] : 1), l.in(0), l.out(0));
  }
  for (Slice s : l.batch_slices({y, x})) lower_move(l, row_move(s.count), l.in(0, s), l.out(0, s));
}

void move_reference(const Move& m, const HostTensor& x, HostTensor& y) {
  for_each_place(m.walk, [&](const std::vector<int64_t>& at) { y[size_t(m.first_y + at[1])] = x[size_t(m.first_x + at[0])]; });
}

Integers list_of(const Attrs& attrs, const char* name, int rank, int64_t fallback, std::string_view op, std::string_view label) {
  const Integers v = attrs.integers(name, Integers(size_t(rank), fallback));
  if (v.size() != size_t(rank))
    fail(op, "'{}': got {} of {} numbers, expected {}: one for every dimension. Fix: correct the attribute.", label, name, v.size(), rank);
  return v;
}

// ---- transpose ----

Integers perm_of(const Attrs& attrs, int rank, std::string_view label) {
  Integers reversed(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) reversed[size_t(i)] = rank - 1 - i;
  const Integers perm = attrs.integers("perm", reversed);
  Integers sorted = perm, all = reversed;
  std::sort(sorted.begin(), sorted.end()), std::sort(all.begin(), all.end());
  if (sorted != all) fail("transpose", "'{}': got perm {}, expected every number from 0 to {} once. Fix: correct the attribute.", label, fmt::join(perm, ","), rank - 1);
  return perm;
}

Shape transposed(const Shape& x, const Integers& perm) {
  Integers sizes;
  for (int64_t d : perm) sizes.push_back(x[int(d)]);
  return Shape(sizes);
}

std::vector<TensorDesc> transpose_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("transpose", label, in);
  check.count(1);
  check_word(check, in, 0, "x");
  return {{transposed(in[0].shape, perm_of(attrs, in[0].shape.rank(), label)), in[0].dtype}};
}

Move transpose_move(const Shape& x, const Integers& perm) {
  const Shape y = transposed(x, perm);
  const Integers strides = strides_of(x);
  Move m{{sizes_of(y), {{}, strides_of(y)}}};
  for (int64_t d : perm) m.walk.strides[0].push_back(strides[size_t(d)]);
  return m;
}

void transpose_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  move_reference(transpose_move(in[0].shape, perm_of(attrs, in[0].shape.rank(), "reference")), in[0], out[0]);
}

void transpose_gradient(Gradient& g) {
  if (!g.wants(0)) return;
  const Integers perm = perm_of(g.attrs(), g.graph.shape(g.in(0)).rank(), "gradient");
  Integers inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse[size_t(perm[i])] = int64_t(i);
  g.set(0, g.add(transpose, {{"perm", inverse}}, {g.grad()}, "grad")[0]);
}

void transpose_lower(Lowering& l) {
  const Shape x = l.in_desc(0).shape;
  const Integers perm = perm_of(l.attrs(), x.rank(), l.label());
  lower_rows(l, !perm.empty() && perm[0] == 0, [&](int64_t rows) { return transpose_move(perm.empty() || perm[0] == 0 ? with_rows(x, rows) : x, perm); });
}

std::vector<Case> transpose_cases() {
  const auto row = [](TensorDesc x, Integers perm) { return Case{.in = {x}, .attrs = {{"perm", perm}}, .fill = {x.dtype == DType::i32 ? Fill::index(-99, 99) : Fill::real()}}; };
  return {row(f32({2, 3}), {1, 0}),          row(f32({2, 3, 5, 4}), {0, 3, 1, 2}), row(f32({2, 4, 3, 8}), {0, 2, 1, 3}), row(f32({3, 5, 2, 4}), {0, 2, 3, 1}),
          row(i32({3, 4, 5}), {2, 0, 1}),    row(f32({2, 1, 2, 3, 1, 2, 3, 2}), {7, 5, 0, 2, 1, 3, 6, 4}), row(f32({4, 3, 0}), {2, 0, 1}),
          {.in = {f32({5, 3, 4})}},          {.in = {f32({})}},                     row(f32({1, 7, 1}), {1, 2, 0})};
}

// ---- expand ----

std::vector<TensorDesc> expand_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("expand", label, in);
  check.count(1);
  check_word(check, in, 0, "x");
  const Shape y(attrs.integers("shape", {}));
  check.require(broadcast_shape("expand", label, in[0].shape, y) == y, "x {} does not broadcast to {}. Fix: correct the attribute.", in[0].to_string(), y.to_string());
  return {{y, in[0].dtype}};
}

Move expand_move(const Shape& x, const Shape& y) { return {{sizes_of(y), {broadcast_strides(x, y), strides_of(y)}}}; }

void expand_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) { move_reference(expand_move(in[0].shape, out[0].shape), in[0], out[0]); }

void expand_gradient(Gradient& g) {
  if (g.wants(0)) g.set(0, summed_to(g, g.grad(), g.in(0), "grad"));
}

void expand_lower(Lowering& l) {
  const Shape x = l.in_desc(0).shape, y = l.out_desc(0).shape;
  const bool rows = x.rank() == y.rank() && x.rank() && x[0] == y[0];
  lower_rows(l, rows, [&](int64_t n) { return rows ? expand_move(with_rows(x, n), with_rows(y, n)) : expand_move(x, y); });
}

std::vector<Case> expand_cases() {
  const auto row = [](TensorDesc x, Integers shape) { return Case{.in = {x}, .attrs = {{"shape", shape}}, .fill = {x.dtype == DType::i32 ? Fill::index(-99, 99) : Fill::real()}}; };
  return {row(f32({3, 1}), {3, 4}), row(f32({3, 1, 5}), {2, 3, 4, 5}), row(f32({1}), {7}), row(f32({}), {2, 3}), row(i32({4, 1, 8}), {4, 3, 8}), row(f32({2, 3}), {2, 3})};
}

// ---- slice ----

struct Cut {
  Integers starts, sizes, steps;
};
Cut cut_of(const Attrs& attrs, const Shape& x, std::string_view label) {
  const Cut c{list_of(attrs, "starts", x.rank(), 0, "slice", label), list_of(attrs, "sizes", x.rank(), -1, "slice", label), list_of(attrs, "steps", x.rank(), 1, "slice", label)};
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t start = c.starts[size_t(i)], size = c.sizes[size_t(i)], step = c.steps[size_t(i)];
    const bool sane = size >= 0 && size <= x[i] && step != 0 && std::abs(step) < (int64_t(1) << 32) && (size == 0 || (start >= 0 && start < x[i]));
    if (!sane || (size > 0 && (start + (size - 1) * step < 0 || start + (size - 1) * step >= x[i])))
      fail("slice", "'{}': dimension {}: got start {}, size {}, step {}, expected places within 0 to {}. Fix: correct the attributes.", label, i, start, size, step,
           x[i] - 1);
  }
  return c;
}

std::vector<TensorDesc> slice_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("slice", label, in);
  check.count(1);
  check_word(check, in, 0, "x");
  return {{Shape(cut_of(attrs, in[0].shape, label).sizes), in[0].dtype}};
}

Move slice_move(const Cut& c, const Shape& x) {
  const Integers strides = strides_of(x);
  Move m{{c.sizes, {{}, strides_of(Shape(c.sizes))}}};
  for (size_t i = 0; i < strides.size(); ++i) {
    m.walk.strides[0].push_back(strides[i] * c.steps[i]);
    m.first_x += strides[i] * c.starts[i];
  }
  return m;
}

void slice_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  move_reference(slice_move(cut_of(attrs, in[0].shape, "reference"), in[0].shape), in[0], out[0]);
}

// Steps backwards are turned around, then the elements are put where they came from, among zeros.
void slice_gradient(Gradient& g) {
  if (!g.wants(0)) return;
  const Shape x = g.graph.shape(g.in(0));
  const Cut c = cut_of(g.attrs(), x, "gradient");
  Integers starts, flips, before, after, steps;
  bool flip = false;
  for (size_t i = 0; i < c.sizes.size(); ++i) {
    const bool back = c.steps[i] < 0 && c.sizes[i] > 0;
    const int64_t span = std::max<int64_t>(c.sizes[i] - 1, 0) * std::abs(c.steps[i]);
    starts.push_back(back ? c.sizes[i] - 1 : 0), flips.push_back(back ? -1 : 1);
    before.push_back(c.sizes[i] == 0 ? 0 : back ? c.starts[i] - span : c.starts[i]);
    after.push_back(x[int(i)] - before.back() - (c.sizes[i] ? span + 1 : 0));
    steps.push_back(c.sizes[i] > 1 ? std::abs(c.steps[i]) : 1);
    flip = flip || back;
  }
  Value d = g.grad();
  if (flip) d = g.add(slice, {{"starts", starts}, {"sizes", c.sizes}, {"steps", flips}}, {d}, "flip")[0];
  g.set(0, g.add(pad, {{"before", before}, {"after", after}, {"steps", steps}}, {d}, "grad")[0]);
}

void slice_lower(Lowering& l) {
  const Shape x = l.in_desc(0).shape;
  Cut c = cut_of(l.attrs(), x, l.label());
  const bool rows = x.rank() && c.sizes[0] == x[0] && c.steps[0] > 0;
  lower_rows(l, rows, [&](int64_t n) {
    if (rows) c.sizes[0] = n;
    return slice_move(c, rows ? with_rows(x, n) : x);
  });
}

std::vector<Case> slice_cases() {
  const auto row = [](TensorDesc x, Integers starts, Integers sizes, Integers steps) {
    return Case{.in = {x}, .attrs = {{"starts", starts}, {"sizes", sizes}, {"steps", steps}}, .fill = {x.dtype == DType::i32 ? Fill::index(-99, 99) : Fill::real()}};
  };
  return {row(f32({7}), {2}, {3}, {1}),
          row(f32({3, 9, 5}), {0, 1, 4}, {3, 4, 5}, {1, 2, -1}),
          row(f32({2, 4, 12}), {0, 1, 4}, {2, 2, 8}, {1, 1, 1}),
          row(f32({4, 8}), {3, 0}, {2, 8}, {-3, 1}),
          row(i32({5, 6}), {4, 5}, {5, 3}, {-1, -2}),
          row(f32({3, 4}), {0, 2}, {3, 0}, {1, 1}),
          row(f32({0, 4}), {0, 2}, {0, 2}, {1, 1}),
          row(f32({1, 5}), {0, 2}, {1, 1}, {7, -4})};
}

// ---- pad ----

struct Padding {
  Integers before, after, steps;
  double value;
};

Padding padding_of(const Attrs& attrs, const Shape& x, std::string_view label) {
  Padding p{list_of(attrs, "before", x.rank(), 0, "pad", label), list_of(attrs, "after", x.rank(), 0, "pad", label), list_of(attrs, "steps", x.rank(), 1, "pad", label),
            attrs.number("value", 0)};
  for (int i = 0; i < x.rank(); ++i)
    for (int64_t v : {p.before[size_t(i)], p.after[size_t(i)], p.steps[size_t(i)] - 1})
      if (v < 0 || v > int64_t(1) << 30)
        fail("pad", "'{}': dimension {}: got before {}, after {}, step {}, expected 0 or more, and steps of 1 or more. Fix: slice first where less is wanted.", label, i,
             p.before[size_t(i)], p.after[size_t(i)], p.steps[size_t(i)]);
  return p;
}

Shape padded(const Shape& x, const Padding& p) {
  Integers sizes;
  for (int i = 0; i < x.rank(); ++i)
    sizes.push_back(p.before[size_t(i)] + p.after[size_t(i)] + (x[i] ? (x[i] - 1) * p.steps[size_t(i)] + 1 : 0));
  return Shape(sizes);
}

std::vector<TensorDesc> pad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("pad", label, in);
  check.count(1);
  check_word(check, in, 0, "x");
  return {{padded(in[0].shape, padding_of(attrs, in[0].shape, label)), in[0].dtype}};
}

Move pad_move(const Shape& x, const Padding& p) {
  const Integers strides = strides_of(padded(x, p));
  Move m{{sizes_of(x), {strides_of(x), {}}}};
  for (size_t i = 0; i < strides.size(); ++i) {
    m.walk.strides[1].push_back(strides[i] * p.steps[i]);
    m.first_y += strides[i] * p.before[i];
  }
  return m;
}

void pad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Padding p = padding_of(attrs, in[0].shape, "reference");
  std::fill(out[0].data.begin(), out[0].data.end(), p.value);
  move_reference(pad_move(in[0].shape, p), in[0], out[0]);
}

void pad_gradient(Gradient& g) {
  if (!g.wants(0)) return;
  const Shape x = g.graph.shape(g.in(0));
  const Padding p = padding_of(g.attrs(), x, "gradient");
  Integers starts = p.before;
  for (int i = 0; i < x.rank(); ++i)
    if (x[i] == 0) starts[size_t(i)] = 0;
  g.set(0, g.add(slice, {{"starts", starts}, {"sizes", sizes_of(x)}, {"steps", p.steps}}, {g.grad()}, "grad")[0]);
}

void pad_lower(Lowering& l) {
  const TensorDesc x = l.in_desc(0), y = l.out_desc(0);
  Padding p = padding_of(l.attrs(), x.shape, l.label());
  if (y.elements() == 0) return;
  const uint32_t value = y.dtype == DType::i32 ? uint32_t(int32_t(std::clamp(p.value, double(INT32_MIN), double(INT32_MAX)))) : std::bit_cast<uint32_t>(float(p.value));
  const auto lower_part = [&](Binding from, Binding to, const Shape& part) {
    const Shape whole = padded(part, p);
    const Move all{{sizes_of(whole), {strides_of(whole), strides_of(whole)}}}, inner = pad_move(part, p);
    if (whole != part) lower_move(l, all, to, to, true, value);
    if (part.elements()) lower_move(l, inner, from, to);
  };
  const bool rows = x.shape.rank() && x.shape[0] == y.shape[0] && x.elements();
  if (!rows) {
    require_bindable(l, {x, y});
    return lower_part(l.in(0), l.out(0), x.shape);
  }
  for (Slice s : l.batch_slices({y, x})) lower_part(l.in(0, s), l.out(0, s), with_rows(x.shape, s.count));
}

std::vector<Case> pad_cases() {
  const auto row = [](TensorDesc x, Integers before, Integers after, Integers steps, double value) {
    return Case{.in = {x}, .attrs = {{"before", before}, {"after", after}, {"steps", steps}, {"value", value}}, .fill = {x.dtype == DType::i32 ? Fill::index(-99, 99) : Fill::real()}};
  };
  return {row(f32({5}), {2}, {1}, {1}, 0),
          row(f32({2, 3, 4, 8}), {0, 1, 2, 0}, {0, 2, 1, 0}, {1, 1, 1, 1}, 1.5),
          row(f32({2, 3, 4}), {1, 0, 4}, {0, 3, 4}, {1, 1, 1}, -2),
          row(f32({3, 4}), {1, 0}, {0, 2}, {3, 2}, 0),
          row(i32({3, 4}), {1, 1}, {1, 1}, {1, 1}, 7),
          row(f32({0, 4}), {2, 0}, {1, 0}, {1, 1}, 3),
          row(f32({3, 4}), {0, 0}, {0, 0}, {1, 1}, 0)};
}

// ---- concat ----

int concat_axis(const Attrs& attrs, const Shape& first, std::string_view label) {
  const int64_t axis = attrs.integer("axis", 0), d = axis < 0 ? axis + first.rank() : axis;
  if (d < 0 || d >= first.rank())
    fail("concat", "'{}': got axis {} for {}, expected one of its dimensions. Fix: correct the attribute.", label, axis, first.to_string());
  return int(d);
}

std::vector<TensorDesc> concat_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("concat", label, in);
  check.count(1, 4096);
  const int axis = concat_axis(attrs, in[0].shape, label);
  Shape y = in[0].shape;
  int64_t total = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    check_word(check, in, i, "x");
    check.same_type(i, fmt::format("x{}", i), 0, "x0");
    check.rank(i, fmt::format("x{}", i), in[0].shape.rank());
    Shape expected = in[0].shape;
    expected[axis] = in[i].shape[axis];
    check.shape(i, fmt::format("x{}", i), expected);
    total += in[i].shape[axis];
  }
  y[axis] = total;
  return {{Shape(sizes_of(y)), in[0].dtype}};  // checks the product
}

Move concat_move(const Shape& x, const Shape& y, int axis, int64_t first) {
  return {{sizes_of(x), {strides_of(x), strides_of(y)}}, 0, first * strides_of(y)[size_t(axis)]};
}

void concat_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const int axis = concat_axis(attrs, in[0].shape, "reference");
  int64_t first = 0;
  for (const HostTensor& x : in) {
    move_reference(concat_move(x.shape, out[0].shape, axis, first), x, out[0]);
    first += x.shape[axis];
  }
}

void concat_gradient(Gradient& g) {
  const int axis = concat_axis(g.attrs(), g.graph.shape(g.in(0)), "gradient");
  Integers starts(size_t(g.graph.shape(g.in(0)).rank()), 0);
  for (int i = 0; i < g.inputs(); ++i) {
    const Shape x = g.graph.shape(g.in(i));
    if (g.wants(i) && x.elements()) g.set(i, g.add(slice, {{"starts", starts}, {"sizes", sizes_of(x)}}, {g.grad()}, fmt::format("grad{}", i))[0]);
    starts[size_t(axis)] += x[axis];
  }
}

void concat_lower(Lowering& l) {
  const TensorDesc y = l.out_desc(0);
  if (y.elements() == 0) return;
  const int axis = concat_axis(l.attrs(), y.shape, l.label());
  std::vector<TensorDesc> cut{y};
  for (int i = 0; i < l.inputs(); ++i)
    if (l.in_desc(i).elements()) cut.push_back(l.in_desc(i));
  if (axis == 0)
    for (const TensorDesc& t : cut) require_bindable(l, {t});
  for (Slice s : axis == 0 ? std::vector<Slice>{{0, y.shape[0]}} : l.batch_slices(cut)) {
    int64_t first = 0;
    for (int i = 0; i < l.inputs(); ++i) {
      const Shape x = l.in_desc(i).shape;
      const bool whole = axis == 0;
      if (x.elements()) lower_move(l, concat_move(whole ? x : with_rows(x, s.count), whole ? y.shape : with_rows(y.shape, s.count), axis, first), whole ? l.in(i) : l.in(i, s), l.out(0, s));
      first += x[axis];
    }
  }
}

std::vector<Case> concat_cases() {
  return {{.in = {f32({2, 3}), f32({4, 3})}},
          {.in = {f32({2, 3, 4}), f32({2, 3, 8}), f32({2, 3, 4})}, .attrs = {{"axis", -1}}},
          {.in = {f32({3, 2, 5}), f32({3, 1, 5}), f32({3, 0, 5}), f32({3, 4, 5})}, .attrs = {{"axis", 1}}},
          {.in = {i32({3, 2}), i32({3, 5})}, .attrs = {{"axis", 1}}, .fill = {Fill::index(-9, 9), Fill::index(-9, 9)}},
          {.in = {f32({7})}}};
}

}  // namespace

const OpDef transpose{.name = "transpose",
                      .shape = transpose_shape,
                      .reference = transpose_reference,
                      .grad = transpose_gradient,
                      .lower = transpose_lower,
                      .cost = elementwise_cost<0>,
                      .cases = transpose_cases,
                      .exact_on_integers = true,
                      .error = 0};

const OpDef expand{.name = "expand",
                   .shape = expand_shape,
                   .reference = expand_reference,
                   .grad = expand_gradient,
                   .lower = expand_lower,
                   .cost = elementwise_cost<0>,
                   .cases = expand_cases,
                   .exact_on_integers = true,
                   .error = 0};

const OpDef slice{.name = "slice",
                  .shape = slice_shape,
                  .reference = slice_reference,
                  .grad = slice_gradient,
                  .lower = slice_lower,
                  .cost = elementwise_cost<0>,
                  .cases = slice_cases,
                  .exact_on_integers = true,
                  .error = 0};

const OpDef pad{.name = "pad",
                .shape = pad_shape,
                .reference = pad_reference,
                .grad = pad_gradient,
                .lower = pad_lower,
                .cost = elementwise_cost<0>,
                .cases = pad_cases,
                .exact_on_integers = true,
                .error = 0};

const OpDef concat{.name = "concat",
                   .shape = concat_shape,
                   .reference = concat_reference,
                   .grad = concat_gradient,
                   .lower = concat_lower,
                   .cost = elementwise_cost<0>,
                   .cases = concat_cases,
                   .exact_on_integers = true,
                   .error = 0};

}  // namespace vkfer::ops
