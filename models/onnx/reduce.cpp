// Sums and other answers over axes, and softmax.
#include <algorithm>
#include <numeric>

#include "models/onnx/operators.h"

namespace vkfer {
namespace {

using Integers = std::vector<int64_t>;

template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }
};

// Axes are an attribute up to `last`, an input after it.
template <Name kFunction, int kLastAttribute>
void reduce(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  Integers axes = c.opset() <= kLastAttribute ? c.integers("axes", {}) : c.given(1) ? c.integers_of(1) : Integers{};
  if (axes.empty() && c.integer("noop_with_empty_axes", 0)) return c.pass(0, x);
  if (axes.empty()) axes.resize(size_t(x.rank())), std::iota(axes.begin(), axes.end(), 0);
  axes = c.axes(axes, x.rank());
  const bool keep = c.integer("keepdims", 1) != 0;
  // Without keepdims, [n,h,w,c] over the pixels is [n,c] in either order.
  Integers pixels(size_t(std::max<int64_t>(x.rank() - 2, 0)));
  std::iota(pixels.begin(), pixels.end(), 2);
  const bool last = x.value && x.channels_last && (keep || axes == pixels);
  if (last) {
    const Integers where = inverse(to_channels_last(x.rank()));
    for (int64_t& a : axes) a = where[size_t(a)];
    std::ranges::sort(axes);
  }
  c.out(0, c.reduce(kFunction.text, last ? x.value : c.plain(x), axes, keep), x.type, last && keep);
}

template <Name kFunction>
void arg(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const int64_t axis = c.axis(c.integer("axis", 0), x.rank());
  const Attrs attrs{{"function", kFunction.text}, {"axis", axis}, {"keepdims", c.integer("keepdims", 1)}, {"select_last", c.integer("select_last_index", 0)}};
  c.out(0, c.add(ops::arg_reduce, attrs, {c.plain(x)}), StoredType::i64);
}

// Up to opset 12 everything from the axis on is one.
struct Rows {
  Value value;
  int64_t axis;
};
Rows rows(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const bool flat = c.opset() < 13;
  const int64_t axis = c.axis(c.integer("axis", flat ? 1 : -1), x.rank());
  if (!flat) return {c.plain(x), axis};
  int64_t before = 1;
  for (int64_t i = 0; i < axis; ++i) before *= x.shape[size_t(i)];
  return {c.reshape(c.plain(x), {before, x.elements() / std::max<int64_t>(before, 1)}), 1};
}

template <int kLog>
void softmax(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const Rows r = rows(c);
  c.out(0, c.reshape(c.add(ops::softmax_axis, {{"axis", r.axis}, {"log", kLog}}, {r.value}), x.shape), x.type);
}

// One at the first maximum.
void hardmax(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const Rows r = rows(c);
  const Integers s = c.shape(r.value);
  const Value best = c.add(ops::arg_reduce, {{"function", "argmax"}, {"axis", r.axis}, {"keepdims", 0}}, {r.value});
  const Value hot = c.one_hot(best, s[size_t(r.axis)], 1, 0);
  Integers perm;
  for (int64_t i = 0; i + 1 < int64_t(s.size()); ++i) perm.push_back(i);
  perm.insert(perm.begin() + r.axis, int64_t(s.size()) - 1);
  c.out(0, c.reshape(c.transpose(hot, perm), x.shape), x.type);
}

// A product with a triangle of ones.
void cum_sum(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  if (device_type(x.type) != DType::f32) c.unsupported("of integers");
  const int64_t axis = c.axis(c.integers_of(1).at(0), x.rank()), n = x.shape[size_t(axis)];
  if (n > 8192) c.unsupported("of {} elements, expected at most 8192", n);
  const bool exclusive = c.integer("exclusive", 0) != 0, reverse = c.integer("reverse", 0) != 0;
  std::vector<double> ones;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) ones.push_back((reverse ? j > i : j < i) || (j == i && !exclusive));
  c.out(0, c.along(c.plain(x), axis, n, "triangle", ones), x.type);
}

constexpr OnnxOperator kRows[] = {
    {"ArgMax", 1, arg<"argmax">},
    {"ArgMin", 1, arg<"argmin">},
    {"CumSum", 11, cum_sum},
    {"Hardmax", 1, hardmax},
    {"LogSoftmax", 1, softmax<1>},
    {"ReduceL1", 1, reduce<"l1", 17>},
    {"ReduceL2", 1, reduce<"l2", 17>},
    {"ReduceLogSum", 1, reduce<"log_sum", 17>},
    {"ReduceLogSumExp", 1, reduce<"log_sum_exp", 17>},
    {"ReduceMax", 1, reduce<"max", 17>},
    {"ReduceMean", 1, reduce<"mean", 17>},
    {"ReduceMin", 1, reduce<"min", 17>},
    {"ReduceProd", 1, reduce<"prod", 17>},
    {"ReduceSum", 1, reduce<"sum", 12>},
    {"ReduceSumSquare", 1, reduce<"sum_square", 17>},
    {"Softmax", 1, softmax<0>},
};

}  // namespace

const std::span<const OnnxOperator> kReduceOperators = kRows;

}  // namespace vkfer
