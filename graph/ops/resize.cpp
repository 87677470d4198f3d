// resize and border: along one dimension after the other, every element of the result is a weighted sum of a few of x, which the
// host works out in double. Coordinates, rounding and weights are ONNX's (Resize, opsets 10 to 19).
#include <bit>
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/reduce.h"

namespace vkfer::ops {

namespace {

// Along one dimension: element j of the result is offset[j] + the sum of weight * x[index].
struct Row {
  std::vector<std::pair<int64_t, double>> entries;
  double offset = 0;
};
struct AxisMap {
  int axis;
  int64_t from;                // elements of x along the axis
  std::vector<Row> rows;
};
using Maps = std::vector<AxisMap>;

// The gradient's: what went from index to row goes from row to index.
Maps transposed(const Maps& maps) {
  Maps result;
  for (size_t i = maps.size(); i-- > 0;) {
    AxisMap t{maps[i].axis, int64_t(maps[i].rows.size()), std::vector<Row>(size_t(maps[i].from))};
    for (size_t j = 0; j < maps[i].rows.size(); ++j)
      for (auto [index, weight] : maps[i].rows[j].entries) t.rows[size_t(index)].entries.push_back({int64_t(j), weight});
    result.push_back(std::move(t));
  }
  return result;
}

HostTensor mapped(const HostTensor& x, const AxisMap& m) {
  Shape shape = x.shape;
  shape[m.axis] = int64_t(m.rows.size());
  HostTensor y(shape);
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < m.axis; ++i) outer *= shape[i];
  for (int i = m.axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  size_t at = 0;
  for (int64_t o = 0; o < outer; ++o)
    for (const Row& row : m.rows)
      for (int64_t i = 0; i < inner; ++i, ++at) {
        y[at] = row.offset;
        for (auto [index, weight] : row.entries) y[at] += weight * x[size_t((o * m.from + index) * inner + i)];
      }
  return y;
}

void maps_reference(const Maps& maps, const HostTensor& x, HostTensor& y) {
  HostTensor t = x;
  for (const AxisMap& m : maps) t = mapped(t, m);
  y.data = t.data;
}

void lower_map(Lowering& l, const AxisMap& m, Binding x, Binding y, const Shape& from) {
  constexpr size_t kMostTurns = 60000;  // of an invocation's loop: lavapipe ends loops after 65,535
  std::vector<uint32_t> words;
  uint32_t entry = 0;
  for (const Row& row : m.rows) {
    if (row.entries.size() > kMostTurns) fail("plan", "'{}': got sums of {} elements, expected at most {}. Fix: resize in two steps", l.label(), row.entries.size(), kMostTurns);
    words.insert(words.end(), {entry, entry + uint32_t(row.entries.size()), std::bit_cast<uint32_t>(float(row.offset))});
    entry += uint32_t(row.entries.size());
  }
  for (const Row& row : m.rows)
    for (auto [index, weight] : row.entries) words.insert(words.end(), {uint32_t(index), std::bit_cast<uint32_t>(float(weight))});
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < m.axis; ++i) outer *= from[i];
  for (int i = m.axis + 1; i < from.rank(); ++i) inner *= from[i];
  const bool four = inner % 4 == 0;
  const int64_t units = inner / (four ? 4 : 1), count = outer * int64_t(m.rows.size()) * units;
  const params::Lines push{uint32_t(count), uint32_t(m.from), uint32_t(m.rows.size()), params::divisor(units), params::divisor(int64_t(m.rows.size())), 0, 0};
  l.dispatch("axis_map.f32", {l.target.workgroup, uint32_t(four)}, {x, y, l.table(std::as_bytes(std::span<const uint32_t>(words)))}, push, groups_for_single(l, count));
}

void lower_maps(Lowering& l, const Maps& maps) {
  const TensorDesc &x = l.in_desc(0), &y = l.out_desc(0);
  if (y.elements() == 0) return;
  if (maps.empty()) return lower_unary(l, 0, false);
  require_bindable(l, {x, y});
  Shape shape = x.shape;
  Binding from = l.in(0);
  for (size_t i = 0; i < maps.size(); ++i) {
    Shape to = shape;
    to[maps[i].axis] = int64_t(maps[i].rows.size());
    if (i + 1 < maps.size()) require_bindable(l, {f32(to)});
    const Binding target = i + 1 < maps.size() ? l.workspace(f32(to).bytes()) : l.out(0);
    lower_map(l, maps[i], from, target, shape);
    shape = to, from = target;
  }
}

// ---- resize ----

struct Axis {                  // of one dimension
  int64_t from, to;
  double scale, roi_start, roi_end;
};

// Where element j of the result lies in x.
double coordinate(const std::string& mode, const Axis& a, int64_t j) {
  const double x = double(j), from = double(a.from), to = double(a.to);
  if (mode == "align_corners") return a.to == 1 ? 0 : x * (from - 1) / (to - 1);
  if (mode == "asymmetric") return x / a.scale;
  if (mode == "pytorch_half_pixel") return a.to > 1 ? (x + 0.5) / a.scale - 0.5 : 0;
  if (mode == "half_pixel_symmetric") {
    const double exact = from * a.scale, center = from / 2;
    return center * (1 - to / exact) + (x + 0.5) / a.scale - 0.5;
  }
  if (mode == "tf_crop_and_resize") return a.to > 1 ? a.roi_start * (from - 1) + x * (a.roi_end - a.roi_start) * (from - 1) / (to - 1) : 0.5 * (a.roi_start + a.roi_end) * (from - 1);
  return (x + 0.5) / a.scale - 0.5;
}

double rounded_place(const std::string& rounding, double x) {
  if (rounding == "floor") return std::floor(x);
  if (rounding == "ceil") return std::ceil(x);
  if (rounding == "round_prefer_ceil") return std::floor(x + 0.5);
  return std::ceil(x - 0.5);
}

double cubic_weight(double a, double distance) {  // Keys, Cubic Convolution Interpolation, 1981
  const double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

struct Resizing {
  std::vector<Axis> axes;
  std::string mode, coordinates, rounding;
  double cubic_a, value;
  bool exclude_outside;
};

Row row_at(const Resizing& r, const Axis& a, int64_t j) {
  const double x = coordinate(r.coordinates, a, j);
  if (r.coordinates == "tf_crop_and_resize" && (x < 0 || x > double(a.from - 1))) return {{}, r.value};
  const auto inside = [&](double place) { return std::clamp<int64_t>(int64_t(place), 0, a.from - 1); };
  if (r.mode == "nearest") return {{{inside(rounded_place(r.rounding, x)), 1.0}}, 0};
  const double first = std::floor(x), part = x - first;
  std::vector<std::pair<double, double>> taps;  // place, weight
  if (r.mode == "linear") taps = {{first, 1 - part}, {first + 1, part}};
  else for (int k = -1; k <= 2; ++k) taps.push_back({first + k, cubic_weight(r.cubic_a, part - k)});
  Row row;
  double total = 0;
  for (auto [place, weight] : taps) {
    if (r.exclude_outside && (place < 0 || place > double(a.from - 1))) continue;
    total += weight;
    const int64_t at = inside(place);
    auto same = std::find_if(row.entries.begin(), row.entries.end(), [&](auto& e) { return e.first == at; });
    if (same != row.entries.end()) same->second += weight;
    else if (weight != 0) row.entries.push_back({at, weight});
  }
  if (r.exclude_outside)
    for (auto& e : row.entries) e.second /= total;
  return row;
}

void check_word(const Attrs& attrs, const char* name, std::initializer_list<const char*> words, std::string_view op, std::string_view label) {
  const std::string word = attrs.text(name, *words.begin());
  if (std::none_of(words.begin(), words.end(), [&](const char* w) { return word == w; }))
    fail(op, "'{}': got {}='{}', expected one of {}. Fix: correct the attribute.", label, name, word, fmt::join(words, ", "));
}

Resizing resizing_of(const Attrs& attrs, const Shape& x, std::string_view label) {
  constexpr const char* kOp = "resize";
  check_word(attrs, "mode", {"nearest", "linear", "cubic"}, kOp, label);
  check_word(attrs, "coordinates", {"half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric", "tf_crop_and_resize"}, kOp, label);
  check_word(attrs, "rounding", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}, kOp, label);
  const size_t rank = size_t(x.rank());
  const Integers sizes = attrs.integers("sizes", {});
  const Numbers scales = attrs.numbers("scales", {}), roi = attrs.numbers("roi", {});
  if (sizes.size() != rank || (!scales.empty() && scales.size() != rank) || (!roi.empty() && roi.size() != 2 * rank))
    fail(kOp, "'{}': got sizes, scales, roi of {}, {}, {} numbers for {}, expected one (of roi two) for every dimension. Fix: correct the attributes.", label, sizes.size(),
         scales.size(), roi.size(), x.to_string());
  Resizing r{{}, attrs.text("mode", "nearest"), attrs.text("coordinates", "half_pixel"), attrs.text("rounding", "round_prefer_floor"), attrs.number("cubic_a", -0.75),
             attrs.number("value", 0), attrs.integer("exclude_outside", 0) != 0};
  for (size_t i = 0; i < rank; ++i) {
    const int64_t from = x[int(i)], to = sizes[i];
    if (to < 1 || to > (int64_t(1) << 24) || from < 1) fail(kOp, "'{}': dimension {}: got size {} from {}, expected at least 1. Fix: correct the attribute.", label, i, to, from);
    const double scale = scales.empty() ? double(to) / double(from) : scales[i];
    if (!(scale > 0)) fail(kOp, "'{}': dimension {}: got scale {}, expected more than 0. Fix: correct the attribute.", label, i, scale);
    r.axes.push_back({from, to, scale, roi.empty() ? 0 : roi[i], roi.empty() ? 1 : roi[rank + i]});
  }
  return r;
}

Maps resize_maps(const Attrs& attrs, const Shape& x, std::string_view label) {
  const Resizing r = resizing_of(attrs, x, label);
  Maps maps;
  for (size_t i = 0; i < r.axes.size(); ++i) {
    const Axis& a = r.axes[i];
    AxisMap m{int(i), a.from, {}};
    bool same = a.from == a.to;
    for (int64_t j = 0; j < a.to; ++j) {
      m.rows.push_back(row_at(r, a, j));
      const Row& row = m.rows.back();
      same = same && row.offset == 0 && row.entries.size() == 1 && row.entries[0] == std::pair(j, 1.0);
    }
    if (!same) maps.push_back(std::move(m));
  }
  return maps;
}

std::vector<TensorDesc> resize_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("resize", label, in);
  check.count(1);
  check.dtype(0, "x", DType::f32);
  resizing_of(attrs, in[0].shape, label);
  return {f32(Shape(attrs.integers("sizes", {})))};
}

// ---- border ----

Maps border_maps(const Attrs& attrs, const Shape& x, std::string_view label) {
  constexpr const char* kOp = "border";
  check_word(attrs, "mode", {"reflect", "edge", "wrap"}, kOp, label);
  const std::string mode = attrs.text("mode", "reflect");
  const Integers none(size_t(x.rank()), 0), before = attrs.integers("before", none), after = attrs.integers("after", none);
  if (before.size() != none.size() || after.size() != none.size())
    fail(kOp, "'{}': got before and after of {} and {} numbers for {}, expected one for every dimension. Fix: correct the attributes.", label, before.size(), after.size(), x.to_string());
  Maps maps;
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t n = x[i], b = before[size_t(i)], a = after[size_t(i)];
    if (b < 0 || a < 0 || b > (1 << 24) || a > (1 << 24) || n < 1)
      fail(kOp, "'{}': dimension {}: got before {}, after {} for {} elements, expected 0 or more, around an element. Fix: correct the attributes.", label, i, b, a, n);
    if (b == 0 && a == 0) continue;
    AxisMap m{i, n, {}};
    for (int64_t j = -b; j < n + a; ++j) {
      int64_t at = std::clamp<int64_t>(j, 0, n - 1);
      if (mode == "wrap") at = ((j % n) + n) % n;
      if (mode == "reflect" && n > 1) {
        const int64_t period = 2 * (n - 1), p = ((j % period) + period) % period;
        at = std::min(p, period - p);
      }
      m.rows.push_back({{{at, 1.0}}, 0});
    }
    maps.push_back(std::move(m));
  }
  return maps;
}

std::vector<TensorDesc> border_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("border", label, in);
  check.count(1);
  check.dtype(0, "x", DType::f32);
  Integers sizes = sizes_of(in[0].shape);
  for (const AxisMap& m : border_maps(attrs, in[0].shape, label)) sizes[size_t(m.axis)] = int64_t(m.rows.size());
  return {f32(Shape(sizes))};
}

// ---- what both have in common; attr input = the shape of x, of their gradients ----

using MapsOf = Maps (*)(const Attrs&, const Shape&, std::string_view);
using ShapeOf = std::vector<TensorDesc> (*)(const Attrs&, std::span<const TensorDesc>, std::string_view);

template <MapsOf kMaps>
void reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  maps_reference(kMaps(attrs, in[0].shape, "reference"), in[0], out[0]);
}
template <MapsOf kMaps>
void lower(Lowering& l) {
  lower_maps(l, kMaps(l.attrs(), l.in_desc(0).shape, l.label()));
}
template <const OpDef& kGrad>
void gradient(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(kGrad, Attrs(g.attrs()).set("input", sizes_of(g.graph.shape(g.in(0)))), {g.grad()}, "grad")[0]);
}
template <ShapeOf kShape, OpName kOp>
std::vector<TensorDesc> grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check(kOp.text, label, in);
  check.count(1);
  check.dtype(0, "dy", DType::f32);
  const std::vector<TensorDesc> x{f32(Shape(attrs.integers("input", {})))};
  check.shape(0, "dy", kShape(attrs, x, label)[0].shape);
  return x;
}
template <MapsOf kMaps>
void grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  maps_reference(transposed(kMaps(attrs, out[0].shape, "reference")), in[0], out[0]);
}
template <MapsOf kMaps>
void grad_lower(Lowering& l) {
  lower_maps(l, transposed(kMaps(l.attrs(), l.out_desc(0).shape, l.label())));
}

std::vector<Case> resize_cases() {
  std::vector<Case> cases;
  for (const char* coordinates : {"half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric"})
    for (const char* mode : {"nearest", "linear", "cubic"})
      cases.push_back({.in = {f32({1, 4, 3, 4})}, .attrs = {{"sizes", Integers{1, 7, 5, 4}}, {"mode", mode}, {"coordinates", coordinates}}});
  for (const char* rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})
    cases.push_back({.in = {f32({2, 5, 3})}, .attrs = {{"sizes", Integers{2, 9, 3}}, {"rounding", rounding}, {"coordinates", "half_pixel"}}});
  cases.push_back({.in = {f32({2, 8, 6, 3})}, .attrs = {{"sizes", Integers{2, 4, 2, 3}}, {"mode", "linear"}}});
  cases.push_back({.in = {f32({6, 5})}, .attrs = {{"sizes", Integers{4, 4}}, {"mode", "linear"}, {"coordinates", "tf_crop_and_resize"}, {"roi", Numbers{0.2, -0.4, 0.7, 0.8}}, {"value", 3.0}}});
  cases.push_back({.in = {f32({6, 5})}, .attrs = {{"sizes", Integers{3, 4}}, {"mode", "cubic"}, {"exclude_outside", 1}, {"cubic_a", -0.5}}});
  cases.push_back({.in = {f32({4, 4})}, .attrs = {{"sizes", Integers{2, 2}}, {"scales", Numbers{0.6, 0.6}}, {"mode", "linear"}}});
  cases.push_back({.in = {f32({3, 4})}, .attrs = {{"sizes", Integers{3, 4}}, {"mode", "linear"}}});
  return cases;
}

std::vector<Case> border_cases() {
  const auto row = [](Shape x, Integers before, Integers after, const char* mode) { return Case{.in = {f32(x)}, .attrs = {{"before", before}, {"after", after}, {"mode", mode}}}; };
  std::vector<Case> cases;
  for (const char* mode : {"reflect", "edge", "wrap"}) {
    cases.push_back(row({2, 4, 5, 4}, {0, 1, 3, 0}, {0, 2, 0, 0}, mode));
    cases.push_back(row({3, 5}, {2, 1}, {1, 7}, mode));
    cases.push_back(row({1, 4}, {0, 0}, {0, 0}, mode));
  }
  return cases;
}

}  // namespace

const OpDef resize{.name = "resize",
                   .shape = resize_shape,
                   .reference = reference<resize_maps>,
                   .grad = gradient<resize_grad>,
                   .lower = lower<resize_maps>,
                   .cost = elementwise_cost<4>,
                   .cases = resize_cases,
                   .exact_on_integers = true,
                   .error = 1e-6};

const OpDef resize_grad{.name = "resize_grad",
                        .shape = grad_shape<resize_shape, "resize_grad">,
                        .reference = grad_reference<resize_maps>,
                        .lower = grad_lower<resize_maps>,
                        .cost = elementwise_cost<4>,
                        .exact_on_integers = true,
                        .error = 1e-6};

const OpDef border{.name = "border",
                   .shape = border_shape,
                   .reference = reference<border_maps>,
                   .grad = gradient<border_grad>,
                   .lower = lower<border_maps>,
                   .cost = elementwise_cost<1>,
                   .cases = border_cases,
                   .exact_on_integers = true,
                   .error = 0};

const OpDef border_grad{.name = "border_grad",
                        .shape = grad_shape<border_shape, "border_grad">,
                        .reference = grad_reference<border_maps>,
                        .lower = grad_lower<border_maps>,
                        .cost = elementwise_cost<1>,
                        .exact_on_integers = true,
                        .error = 1e-6};

}  // namespace vkfer::ops
