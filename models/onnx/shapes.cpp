// Operators that move elements, and those that know shapes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/ops/ops.h"
#include "models/layers.h"
#include "models/onnx/operators.h"

namespace vkfer {
namespace {

using Integers = std::vector<int64_t>;

constexpr int64_t kMostMade = 1 << 26;  // elements that a few bytes of a file may ask for

void pass(NodeImport& c) { c.pass(0, c.in(0)); }

// ---- what is known ----------------------------------------------------------------------------------------------------

void constant(NodeImport& c) {
  if (c.has("value")) return c.out_known(0, c.tensor("value"));
  for (const auto& [name, a] : c.node().attributes) {
    using Kind = OnnxAttribute::Kind;
    const Integers one, many = {int64_t(a.kind == Kind::numbers ? a.numbers.size() : a.integers.size())};
    if (name == "value_float") return c.out_known(0, tensor_of(StoredType::f32, one, std::span(&a.number, 1)));
    if (name == "value_floats") return c.out_known(0, tensor_of(StoredType::f32, many, a.numbers));
    if (name == "value_int") return c.out_known(0, WeightTensor::of(one, std::span(&a.integer, 1)));
    if (name == "value_ints") return c.out_known(0, WeightTensor::of(many, std::span<const int64_t>(a.integers)));
  }
  c.unsupported("a constant of texts or sparse elements");
}

Integers checked_shape(const NodeImport& c, Integers dims) {
  int64_t elements = 1;
  for (const int64_t d : dims) {
    if (d < 0) c.wrong("got a dimension of {}", d);
    if (d > 0 && elements > kMostMade / d) c.unsupported("more than {} elements made of nothing", kMostMade);
    elements *= std::max<int64_t>(d, 1);
  }
  if (dims.size() > size_t(Shape::kMaxRank)) c.unsupported("{} dimensions, expected at most {}", dims.size(), Shape::kMaxRank);
  return dims;
}

int64_t product(const Integers& dims, size_t first = 0, size_t last = size_t(-1)) {
  int64_t n = 1;
  for (size_t i = first; i < std::min(last, dims.size()); ++i) n *= dims[i];
  return n;
}

void constant_of_shape(NodeImport& c) {
  const Integers dims = checked_shape(c, c.integers_of(0));
  double value = 0;
  StoredType type = StoredType::f32;
  if (c.has("value")) {
    const WeightTensor& t = c.tensor("value");
    if (t.elements() != 1) c.wrong("its value has {} elements, expected 1", t.elements());
    value = t.doubles()[0];
    type = t.type;
  }
  c.out_known(0, tensor_of(type, dims, std::vector<double>(size_t(product(dims)), value)));
}

void shape_of(NodeImport& c) {
  const Integers& s = c.in(0).shape;
  const int64_t rank = int64_t(s.size());
  const auto bound = [&](const char* name, int64_t fallback) {
    const int64_t v = c.integer(name, fallback);
    return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  const int64_t first = bound("start", 0), last = std::max(first, bound("end", rank));
  const Integers part(s.begin() + first, s.begin() + last);
  c.out_known(0, WeightTensor::of({last - first}, std::span(part)));
}

void size_of(NodeImport& c) {
  const int64_t n = c.in(0).elements();
  c.out_known(0, WeightTensor::of({}, std::span(&n, 1)));
}

void range(NodeImport& c) {
  const double first = c.numbers_of(0).at(0), limit = c.numbers_of(1).at(0), step = c.numbers_of(2).at(0);
  const double count = std::ceil((limit - first) / step);
  if (!(count <= double(kMostMade))) c.wrong("a range from {} to {} in steps of {}", first, limit, step);
  std::vector<double> values(size_t(std::max(0.0, count)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + double(i) * step;
  c.out_known(0, tensor_of(c.in(0).type, {int64_t(values.size())}, values));
}

void eye_like(NodeImport& c) {
  if (c.in(0).rank() != 2) c.wrong("got rank {}, expected a matrix", c.in(0).rank());
  const auto type = c.has("dtype") ? type_of_onnx(c.integer("dtype", 1)) : c.in(0).type;
  if (!type) c.unsupported("elements that are no numbers");
  const Integers dims = checked_shape(c, c.in(0).shape);
  const int64_t k = c.integer("k", 0);
  std::vector<double> values(size_t(product(dims)));
  for (int64_t i = 0; i < dims[0]; ++i)
    if (i + k >= 0 && i + k < dims[1]) values[size_t(i * dims[1] + i + k)] = 1;
  c.out_known(0, tensor_of(*type, dims, values));
}

// ---- the same elements under another shape ---------------------------------------------------------------------------

void reshaped(NodeImport& c, const Integers& to) {
  const OnnxTensor& x = c.in(0);
  checked_shape(c, to);
  if (product(to) != x.elements()) c.wrong("got {} elements, expected those of [{}]", x.elements(), fmt::join(to, ","));
  if (x.known && !(c.layers() && is_weight(x))) {
    WeightTensor t = *x.known;
    t.shape = to;
    return c.out_known(0, std::move(t));
  }
  c.out(0, c.reshape(c.plain(x), to), x.type);
}

void reshape(NodeImport& c) {
  const Integers& from = c.in(0).shape;
  Integers to = c.opset() < 5 ? c.integers("shape", {}) : c.integers_of(1);
  const bool zero_is_zero = c.integer("allowzero", 0) != 0;
  int64_t rest = -1, others = 1;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0 && !zero_is_zero) {
      if (i >= from.size()) c.wrong("dimension {} is to be copied, but there are {}", i, from.size());
      to[i] = from[i];
    }
    if (to[i] == -1 && rest >= 0) c.wrong("got -1 twice in the shape");
    if (to[i] == -1) rest = int64_t(i);
    else if (to[i] < 0 || to[i] > (int64_t(1) << 40)) c.wrong("got a dimension of {}", to[i]);
    else if (to[i] > 0 && others > (int64_t(1) << 40) / to[i]) c.wrong("got a shape of more than 2^40 elements");
    else others *= to[i];
  }
  if (rest >= 0) {
    if (others == 0 || c.in(0).elements() % others) c.wrong("got {} elements, expected a multiple of {}", c.in(0).elements(), others);
    to[size_t(rest)] = c.in(0).elements() / others;
  }
  reshaped(c, to);
}

void flatten(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const int64_t given = c.integer("axis", 1), axis = given == x.rank() ? given : c.axis(given, x.rank());
  reshaped(c, {product(x.shape, 0, size_t(axis)), product(x.shape, size_t(axis))});
}

Integers axes_of(const NodeImport& c, int from_opset) {
  if (c.opset() < from_opset) return c.integers("axes", {});
  return c.given(1) ? c.integers_of(1) : Integers{};
}

void squeeze(NodeImport& c) {
  const Integers& s = c.in(0).shape;
  Integers axes = axes_of(c, 13), to;
  if (axes.empty())
    for (size_t i = 0; i < s.size(); ++i)
      if (s[i] == 1) axes.push_back(int64_t(i));
  axes = c.axes(axes, c.in(0).rank());
  for (size_t i = 0; i < s.size(); ++i)
    if (!std::ranges::binary_search(axes, int64_t(i))) to.push_back(s[i]);
    else if (s[i] != 1) c.wrong("dimension {} is {}, expected 1", i, s[i]);
  reshaped(c, to);
}

void unsqueeze(NodeImport& c) {
  const Integers& s = c.in(0).shape;
  Integers axes = axes_of(c, 13), to;
  const int64_t rank = int64_t(s.size() + axes.size());
  axes = c.axes(axes, rank);
  for (int64_t i = 0, from = 0; i < rank; ++i) to.push_back(std::ranges::binary_search(axes, i) ? 1 : s[size_t(from++)]);
  reshaped(c, to);
}

// ---- moves ----------------------------------------------------------------------------------------------------------

void transpose(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  Integers perm(size_t(x.rank()));
  std::iota(perm.rbegin(), perm.rend(), 0);
  perm = c.integers("perm", perm);
  Integers sorted = perm, all(size_t(x.rank()));
  std::iota(all.begin(), all.end(), 0);
  std::ranges::sort(sorted);
  if (sorted != all) c.wrong("perm is [{}], expected the numbers 0 to {}", fmt::join(perm, ","), x.rank() - 1);
  const bool last = x.value && x.channels_last;
  if (!last && x.value && x.rank() > 2 && perm == inverse(to_channels_last(x.rank()))) {  // [n,h,w,c] is how we have images anyway
    OnnxTensor same = x;
    same.channels_last = true;
    same.shape.clear();
    for (const int64_t p : perm) same.shape.push_back(x.shape[size_t(p)]);
    return c.pass(0, same);
  }
  if (last) {
    const Integers where = inverse(to_channels_last(x.rank()));
    for (int64_t& p : perm) p = where[size_t(p)];
  }
  c.out(0, c.transpose(last ? x.value : c.plain(x), perm), x.type);
}

// Where axis `a` lies in x's own order.
int64_t place(const OnnxTensor& x, bool channels_last, int64_t a) { return channels_last ? inverse(to_channels_last(x.rank()))[size_t(a)] : a; }
bool is_last(const OnnxTensor& x) { return x.value && x.channels_last; }

void concat(NodeImport& c) {
  std::vector<OnnxTensor> parts;
  bool last = false;
  for (int i = 0; i < c.inputs(); ++i) {
    last = last || is_last(c.in(i));
    if (c.in(i).elements() > 0) parts.push_back(c.in(i));
  }
  const int64_t axis = c.axis(c.integer("axis", 1), c.in(0).rank());
  if (parts.empty()) return c.pass(0, c.in(0));
  if (parts.size() == 1) return c.pass(0, parts[0]);
  std::vector<Value> values;
  for (const OnnxTensor& t : parts) values.push_back(c.in_order_of(t, last));
  c.out(0, c.add(ops::concat, {{"axis", place(c.in(0), last, axis)}}, values), c.in(0).type, last);
}

// `starts`, `steps` and `sizes` along every axis of x as ONNX counts them.
Value sliced(NodeImport& c, const OnnxTensor& x, const Integers& starts, const Integers& steps, const Integers& sizes) {
  Integers a(starts.size()), b = a, s = a;
  for (int64_t i = 0; i < x.rank(); ++i) {
    const size_t at = size_t(place(x, is_last(x), i));
    a[at] = starts[size_t(i)], b[at] = steps[size_t(i)], s[at] = sizes[size_t(i)];
  }
  const Value v = c.in_order_of(x, is_last(x));
  if (sizes == x.shape && std::ranges::all_of(steps, [](int64_t step) { return step == 1; })) return v;
  return c.add(ops::slice, {{"starts", a}, {"steps", b}, {"sizes", s}}, {v});
}

void slice(NodeImport& c, const Integers& starts, const Integers& ends, Integers axes, Integers steps) {
  const OnnxTensor& x = c.in(0);
  if (axes.empty())
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(int64_t(i));
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) c.wrong("starts, ends, axes and steps are not alike");
  Integers first(size_t(x.rank()), 0), step(size_t(x.rank()), 1), size = x.shape;
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t a = size_t(c.axis(axes[i], x.rank()));
    const int64_t n = x.shape[a], by = steps[i];
    if (by == 0 || by == INT64_MIN) c.wrong("a step of {}", by);
    const auto clamped = [&](int64_t v, int64_t least, int64_t most) { return std::clamp(v < 0 ? std::max(v, -n - 1) + n : v, least, most); };
    const int64_t from = by > 0 ? clamped(starts[i], 0, n) : clamped(starts[i], -1, n - 1), to = by > 0 ? clamped(ends[i], 0, n) : clamped(ends[i], -1, n - 1);
    const int64_t distance = by > 0 ? to - from : from - to, stride = std::abs(by);
    first[a] = from;
    size[a] = distance <= 0 ? 0 : (distance - 1) / stride + 1;
    step[a] = size[a] <= 1 ? 1 : by;   // so that a step beyond the tensor is none
    if (size[a] == 0) first[a] = 0;
  }
  if (product(size) == 0) return c.out_known(0, WeightTensor{x.type, size, {}});
  c.out(0, sliced(c, x, first, step, size), x.type, is_last(x));
}

void slice_1(NodeImport& c) { slice(c, c.integers("starts", {}), c.integers("ends", {}), c.integers("axes", {}), {}); }
void slice_10(NodeImport& c) { slice(c, c.integers_of(1), c.integers_of(2), c.given(3) ? c.integers_of(3) : Integers{}, c.given(4) ? c.integers_of(4) : Integers{}); }

void split(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const int64_t axis = c.axis(c.integer("axis", 0), x.rank()), n = x.shape.at(size_t(axis));
  Integers sizes = c.opset() < 13 ? c.integers("split", {}) : c.given(1) ? c.integers_of(1) : Integers{};
  if (sizes.empty()) {
    const int64_t parts = c.integer("num_outputs", c.outputs());
    if (parts != c.outputs()) c.wrong("got num_outputs {} and {} outputs", parts, c.outputs());
    const int64_t part = (n + parts - 1) / std::max<int64_t>(parts, 1);
    for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::clamp<int64_t>(n - i * part, 0, part));
  }
  if (int(sizes.size()) != c.outputs() || std::accumulate(sizes.begin(), sizes.end(), int64_t(0)) != n) c.wrong("parts of {} do not make {}", fmt::join(sizes, ","), n);
  Integers starts(size_t(x.rank()), 0), steps(size_t(x.rank()), 1), size = x.shape;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0) c.wrong("a part of {}", sizes[i]);
    size[size_t(axis)] = sizes[i];
    if (product(size) == 0) c.out_known(int(i), WeightTensor{x.type, size, {}});
    else c.out(int(i), sliced(c, x, starts, steps, size), x.type, is_last(x));
    starts[size_t(axis)] += sizes[i];
  }
}

// Padding with what is there: axis by axis a piece before, x, and a piece behind.
Value extended(NodeImport& c, Value v, const Integers& before, const Integers& after, const std::string& mode) {
  for (size_t a = 0; a < before.size(); ++a) {
    const Integers s = c.shape(v);
    const int64_t n = s[a], most = mode == "reflect" ? n - 1 : n;
    if (mode != "reflect" && mode != "edge" && mode != "wrap") c.wrong("mode is '{}'", mode);
    if (n == 0 || (mode != "edge" && (before[a] > most || after[a] > most))) c.unsupported("pads of {} and {} for a size of {}", before[a], after[a], n);
    const auto piece = [&](int64_t start, int64_t step, int64_t size) {
      Integers starts(s.size(), 0), steps(s.size(), 1), sizes = s, to = s;
      starts[a] = start, steps[a] = step, sizes[a] = mode == "edge" ? 1 : size, to[a] = size;
      const Value p = c.add(ops::slice, {{"starts", starts}, {"steps", steps}, {"sizes", sizes}}, {v});
      return mode == "edge" ? c.add(ops::expand, {{"shape", to}}, {p}) : p;
    };
    std::vector<Value> parts;
    if (before[a] > 0) parts.push_back(mode == "edge" ? piece(0, 1, before[a]) : mode == "wrap" ? piece(n - before[a], 1, before[a]) : piece(before[a], -1, before[a]));
    parts.push_back(v);
    if (after[a] > 0) parts.push_back(mode == "edge" ? piece(n - 1, 1, after[a]) : mode == "wrap" ? piece(0, 1, after[a]) : piece(n - 2, -1, after[a]));
    if (parts.size() > 1) v = c.add(ops::concat, {{"axis", int64_t(a)}}, parts);
  }
  return v;
}

void padded(NodeImport& c, const Integers& pads, Integers axes, std::optional<double> value) {
  const OnnxTensor& x = c.in(0);
  if (axes.empty())
    for (int64_t i = 0; i < x.rank(); ++i) axes.push_back(i);
  if (pads.size() != 2 * axes.size()) c.wrong("got {} pads, expected {}", pads.size(), 2 * axes.size());
  const std::string mode = c.text("mode", "constant");
  Integers before(size_t(x.rank()), 0), after = before;
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t at = size_t(place(x, is_last(x), c.axis(axes[i], x.rank())));
    before[at] = pads[i], after[at] = pads[axes.size() + i];
    if (before[at] < -(1 << 30) || before[at] > 1 << 30 || after[at] < -(1 << 30) || after[at] > 1 << 30) c.wrong("a pad of {}", before[at]);
  }
  // What is less than nothing is cut off.
  Value v = c.in_order_of(x, is_last(x));
  if (std::ranges::any_of(before, [](int64_t p) { return p < 0; }) || std::ranges::any_of(after, [](int64_t p) { return p < 0; })) {
    Integers starts, sizes = c.shape(v);
    for (size_t i = 0; i < sizes.size(); ++i) {
      starts.push_back(std::max<int64_t>(0, -before[i]));
      sizes[i] -= starts[i] + std::max<int64_t>(0, -after[i]);
      if (sizes[i] < 0) c.wrong("more is cut off than there is");
      before[i] = std::max<int64_t>(0, before[i]), after[i] = std::max<int64_t>(0, after[i]);
    }
    v = c.add(ops::slice, {{"starts", starts}, {"steps", Integers(sizes.size(), 1)}, {"sizes", sizes}}, {v});
  }
  if (mode == "constant") v = c.add(ops::pad, {{"before", before}, {"after", after}, {"value", value.value_or(0)}}, {v});
  else v = extended(c, v, before, after, mode);
  c.out(0, v, x.type, is_last(x));
}

void pad_2(NodeImport& c) { padded(c, c.integers(c.has("paddings") ? "paddings" : "pads", {}), {}, c.number("value", 0)); }
void pad_11(NodeImport& c) {
  std::optional<double> value;
  if (c.given(2) && c.in(2).elements() > 0) value = c.numbers_of(2)[0];
  padded(c, c.integers_of(1), c.given(3) ? c.integers_of(3) : Integers{}, value);
}

Integers broadcast(const NodeImport& c, const Integers& a, const Integers& b) {
  Integers out(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) c.wrong("[{}] and [{}] do not fit", fmt::join(a, ","), fmt::join(b, ","));
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

void expand(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const Integers to = broadcast(c, x.shape, checked_shape(c, c.integers_of(1)));
  if (product(to) == 0) return c.out_known(0, WeightTensor{x.type, to, {}});
  c.out(0, c.add(ops::expand, {{"shape", to}}, {c.plain(x)}), x.type);
}

// Every repeated dimension gets one before it, which is expanded.
void tile(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const Integers repeats = c.integers_of(1);
  if (int64_t(repeats.size()) != x.rank()) c.wrong("got {} repeats for a rank of {}", repeats.size(), x.rank());
  Integers apart, expanded, to;
  for (size_t i = 0; i < repeats.size(); ++i) {
    if (repeats[i] < 0 || repeats[i] > kMostMade) c.wrong("got {} repeats", repeats[i]);
    if (repeats[i] != 1) apart.push_back(1), expanded.push_back(repeats[i]);
    apart.push_back(x.shape[i]), expanded.push_back(x.shape[i]);
    to.push_back(x.shape[i] * repeats[i]);
  }
  checked_shape(c, expanded);
  if (product(to) == 0) return c.out_known(0, WeightTensor{x.type, to, {}});
  c.out(0, c.reshape(c.add(ops::expand, {{"shape", expanded}}, {c.reshape(c.plain(x), apart)}), to), x.type);
}

// Indices may count from the end.
Value from_the_start(NodeImport& c, const OnnxTensor& indices, int64_t n) {
  const Value v = c.plain(indices);
  if (indices.known) {
    bool negative = false;
    for (const double i : indices.known->doubles()) {
      if (i < double(-n) || i >= double(n)) c.wrong("index {} of a dimension of {}", i, n);
      negative = negative || i < 0;
    }
    if (!negative) return v;
  }
  return c.select(c.binary("less", v, c.scalar(0, DType::i32)), c.binary("add", v, c.scalar(double(n), DType::i32)), v);
}

// Known indices that go in even steps are a slice; else a product with rows of ones and zeros. Integers pass through f32.
void gather(NodeImport& c) {
  const OnnxTensor &x = c.in(0), &indices = c.in(1);
  const int64_t axis = c.axis(c.integer("axis", 0), x.rank()), n = x.shape.at(size_t(axis));
  Integers to(x.shape.begin(), x.shape.begin() + axis), all(size_t(x.rank()), 0);
  to.insert(to.end(), indices.shape.begin(), indices.shape.end());
  to.insert(to.end(), x.shape.begin() + axis + 1, x.shape.end());
  checked_shape(c, to);
  const int64_t count = indices.elements();
  if (product(to) == 0) return c.out_known(0, WeightTensor{x.type, to, {}});
  if (indices.known) {
    Integers at;
    for (const int64_t i : c.integers_of(1)) {
      if (i < -n || i >= n) c.wrong("index {} of a dimension of {}", i, n);
      at.push_back(i < 0 ? i + n : i);
    }
    const int64_t step = count > 1 ? at[1] - at[0] : 1;
    bool even = step != 0;
    for (size_t i = 1; i < at.size(); ++i) even = even && at[i] - at[i - 1] == step;
    if (even) {
      Integers starts = all, steps(all.size(), 1), sizes = x.shape;
      starts[size_t(axis)] = at[0], steps[size_t(axis)] = step, sizes[size_t(axis)] = count;
      return c.out(0, c.reshape(c.add(ops::slice, {{"starts", starts}, {"steps", steps}, {"sizes", sizes}}, {c.plain(x)}), to), x.type);
    }
  }
  Integers flat = {1, n, 1};
  for (int64_t i = 0; i < axis; ++i) flat[0] *= x.shape[size_t(i)];
  for (int64_t i = axis + 1; i < x.rank(); ++i) flat[2] *= x.shape[size_t(i)];
  const Value rows = c.one_hot(c.reshape(from_the_start(c, indices, n), {count}), n, 1, 0), v = c.plain(x);
  const Value y = c.add(ops::matmul, {}, {rows, c.cast(c.reshape(v, flat), DType::f32)});
  c.out(0, c.reshape(c.cast(y, c.dtype(v)), to), x.type);
}

void one_hot(NodeImport& c) {
  const OnnxTensor& indices = c.in(0);
  const std::vector<double> depth = c.numbers_of(1), values = c.numbers_of(2);
  if (depth.size() != 1 || values.size() != 2 || !(depth[0] >= 1 && depth[0] <= double(1 << 20))) c.wrong("depth or values are out of range");
  const int64_t n = int64_t(depth[0]), axis = c.axis(c.integer("axis", -1), indices.rank() + 1);
  Value v = c.cast(c.plain(indices), DType::i32);
  v = c.select(c.binary("less", v, c.scalar(0, DType::i32)), c.binary("add", v, c.scalar(double(n), DType::i32)), v);
  v = c.one_hot(v, n, values[1], values[0]);
  Integers perm;
  for (int64_t i = 0; i < indices.rank(); ++i) perm.push_back(i);
  perm.insert(perm.begin() + axis, indices.rank());
  c.out(0, c.cast(c.transpose(v, perm), device_type(c.in(2).type)), c.in(2).type);
}

void trilu(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  if (x.rank() < 2) c.wrong("got rank {}, expected matrices", x.rank());
  const int64_t k = c.given(1) ? c.integers_of(1).at(0) : 0, rows = x.shape[size_t(x.rank() - 2)], columns = x.shape.back();
  if (x.elements() == 0) return c.pass(0, x);
  if (rows > kMostMade / columns) c.unsupported("matrices of {}x{}", rows, columns);
  const bool upper = c.integer("upper", 1) != 0;
  std::vector<double> keep;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) keep.push_back(upper ? j - i >= k : j - i <= k);
  const Value v = c.plain(x), mask = c.table("mask", StoredType::i32, {rows, columns}, keep);
  c.out(0, c.select(mask, v, c.scalar(0, c.dtype(v))), x.type);
}

void depth_to_space(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  if (x.rank() != 4) c.unsupported("rank {}, expected 4", x.rank());
  const int64_t b = c.integer("blocksize", 1), n = x.shape[0], d = x.shape[1], h = x.shape[2], w = x.shape[3];
  if (b < 1 || b > d || d % b || d / b % b) c.wrong("{} channels in blocks of {}", d, b);
  const bool crd = c.text("mode", "DCR") == "CRD";
  Value v = c.reshape(c.plain(x), crd ? Integers{n, d / b / b, b, b, h, w} : Integers{n, b, b, d / b / b, h, w});
  v = c.transpose(v, crd ? Integers{0, 1, 4, 2, 5, 3} : Integers{0, 3, 4, 1, 5, 2});
  c.out(0, c.reshape(v, {n, d / b / b, h * b, w * b}), x.type);
}

void space_to_depth(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  if (x.rank() != 4) c.unsupported("rank {}, expected 4", x.rank());
  const int64_t b = c.integer("blocksize", 1), n = x.shape[0], d = x.shape[1], h = x.shape[2], w = x.shape[3];
  if (b < 1 || h % b || w % b) c.wrong("{}x{} in blocks of {}", h, w, b);
  const Value v = c.transpose(c.reshape(c.plain(x), {n, d, h / b, b, w / b, b}), {0, 3, 5, 1, 2, 4});
  c.out(0, c.reshape(v, {n, d * b * b, h / b, w / b}), x.type);
}

// Nothing is dropped, unless the network is trained.
void dropout(NodeImport& c) {
  if (c.given(2) && c.integers_of(2).at(0) != 0 && (!c.given(1) || c.numbers_of(1).at(0) > 0)) c.unsupported("training mode");
  const double ratio = c.opset() < 12 ? c.number("ratio", 0.5) : c.given(1) && c.in(1).known ? c.numbers_of(1).at(0) : 0.5;
  if (c.layers() && c.layers()->options().training && !c.wants(1) && device_type(c.in(0).type) == DType::f32 && ratio > 0 && ratio < 1)
    return c.out(0, c.layers()->dropout(c.label(), c.in_order_of(c.in(0), c.in(0).value && c.in(0).channels_last), ratio), c.in(0).type, c.in(0).value && c.in(0).channels_last);
  c.pass(0, c.in(0));
  if (c.wants(1)) c.out_known(1, tensor_of(c.opset() < 10 ? c.in(0).type : StoredType::boolean, c.in(0).shape, std::vector<double>(size_t(c.in(0).elements()), 1)));
}

constexpr OnnxOperator kRows[] = {
    {"Concat", 4, concat},
    {"Constant", 1, constant},
    {"ConstantOfShape", 9, constant_of_shape},
    {"DepthToSpace", 1, depth_to_space},
    {"Dropout", 1, dropout},
    {"Expand", 8, expand},
    {"EyeLike", 9, eye_like},
    {"Flatten", 1, flatten},
    {"Gather", 1, gather},
    {"Identity", 1, pass},
    {"OneHot", 9, one_hot},
    {"Pad", 1, pad_2},
    {"Pad", 11, pad_11},
    {"Range", 11, range},
    {"Reshape", 1, reshape},
    {"Shape", 1, shape_of},
    {"Size", 1, size_of},
    {"Slice", 1, slice_1},
    {"Slice", 10, slice_10},
    {"SpaceToDepth", 1, space_to_depth},
    {"Split", 2, split},
    {"Squeeze", 1, squeeze},
    {"Tile", 6, tile},
    {"Transpose", 1, transpose},
    {"Trilu", 14, trilu},
    {"Unsqueeze", 1, unsqueeze},
};

}  // namespace

const std::span<const OnnxOperator> kShapeOperators = kRows;

}  // namespace vkfer
