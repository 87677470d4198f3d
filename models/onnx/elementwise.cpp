// Operators that work element by element, with numpy's broadcasting.
#include <cmath>
#include <limits>

#include "graph/ops/ops.h"
#include "models/onnx/operators.h"

namespace vkfer {
namespace {

bool is_real(const OnnxTensor& t) { return device_type(t.type) == DType::f32; }

// ---- one operand ----------------------------------------------------------------------------------------------------

Value own(NodeImport& c, int i = 0) { return c.in_order_of(c.in(i), c.in(i).value && c.in(i).channels_last); }
void same(NodeImport& c, Value v) { c.out(0, v, c.in(0).type, c.in(0).value && c.in(0).channels_last); }

void apply(NodeImport& c, const char* function, Attrs attrs = {}) { same(c, c.unary(function, own(c), std::move(attrs))); }

// The ops that fuse with convolutions where they can be had.
void apply_fusable(NodeImport& c, const OpDef& op, const char* function, Attrs attrs = {}) {
  if (!c.folding() && is_real(c.in(0)) && c.in(0).elements() > 0) return same(c, c.add(op, {}, {own(c)}));
  apply(c, function, std::move(attrs));
}

template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }
};

template <Name kFunction>
void unary(NodeImport& c) { apply(c, kFunction.text); }

// As `function`, with a logical answer.
template <Name kFunction>
void test(NodeImport& c) { c.out(0, c.unary(kFunction.text, own(c)), StoredType::boolean, c.in(0).value && c.in(0).channels_last); }

template <Name kFunction, Name kAttribute, int kThousandths>
void with_alpha(NodeImport& c) { apply(c, kFunction.text, {{"alpha", c.number(kAttribute.text, kThousandths / 1000.0)}}); }

void relu(NodeImport& c) { apply_fusable(c, ops::relu, "clip", {{"lo", 0.0}}); }
void hard_swish(NodeImport& c) { apply_fusable(c, ops::hardswish, "hard_swish"); }
void sigmoid(NodeImport& c) {
  if (!c.folding() && c.in(0).elements() > 0) return same(c, c.add(ops::sigmoid, {}, {own(c)}));
  same(c, c.unary("reciprocal", c.binary("add", c.unary("exp", c.unary("neg", own(c))), c.scalar(1))));
}
void celu(NodeImport& c) { apply(c, "celu", {{"alpha", c.number("alpha", 1)}}); }
void selu(NodeImport& c) { apply(c, "selu", {{"alpha", c.number("alpha", 1.67326319217681884765625)}, {"gamma", c.number("gamma", 1.05070102214813232421875)}}); }
void hard_sigmoid(NodeImport& c) { apply(c, "hard_sigmoid", {{"alpha", c.number("alpha", 0.2)}, {"beta", c.number("beta", 0.5)}}); }
void shrink(NodeImport& c) { apply(c, "shrink", {{"alpha", c.number("lambd", 0.5)}, {"beta", c.number("bias", 0)}}); }
void gelu(NodeImport& c) { apply(c, c.text("approximate", "none") == "tanh" ? "gelu_tanh" : "gelu"); }
void is_inf(NodeImport& c) {
  const Attrs attrs{{"alpha", double(c.integer("detect_negative", 1))}, {"beta", double(c.integer("detect_positive", 1))}};
  c.out(0, c.unary("isinf", own(c), attrs), StoredType::boolean, c.in(0).value && c.in(0).channels_last);
}

void clip_to(NodeImport& c, std::optional<double> lo, std::optional<double> hi) {
  if (lo == 0.0 && hi == 6.0) return apply_fusable(c, ops::relu6, "clip", {{"lo", 0.0}, {"hi", 6.0}});
  if (lo == 0.0 && !hi) return relu(c);
  Attrs attrs;
  if (lo) attrs.set("lo", *lo);
  if (hi) attrs.set("hi", *hi);
  apply(c, "clip", attrs);
}

void clip_6(NodeImport& c) {  // the bounds are attributes; left out, they bound nothing
  std::optional<double> lo, hi;
  if (c.has("min")) lo = c.number("min", 0);
  if (c.has("max")) hi = c.number("max", 0);
  clip_to(c, lo, hi);
}

void clip_11(NodeImport& c) {  // they are inputs
  const bool has_lo = c.given(1), has_hi = c.given(2);
  if ((!has_lo || c.in(1).known) && (!has_hi || c.in(2).known)) {
    std::optional<double> lo, hi;
    if (has_lo) lo = c.numbers_of(1).at(0);
    if (has_hi) hi = c.numbers_of(2).at(0);
    return clip_to(c, lo, hi);
  }
  Value v = own(c);
  if (has_lo) v = c.binary("max", v, c.plain(c.in(1)));
  if (has_hi) v = c.binary("min", v, c.plain(c.in(2)));
  same(c, v);
}

// ---- types ----------------------------------------------------------------------------------------------------------

bool is_small(StoredType t) { return t != StoredType::i32 && t != StoredType::i64 && t != StoredType::u32 && t != StoredType::u64; }

void cast_to(NodeImport& c, StoredType to) {
  const OnnxTensor& x = c.in(0);
  if (x.known && device_type(x.type) != DType::f32 && device_type(to) != DType::f32 && to != StoredType::boolean) return c.out_known(0, tensor_of(to, x.shape, x.known->doubles()));
  if (to == StoredType::bf16 && x.type != to) c.unsupported("a cast to bfloat16: nothing is rounded to it");
  Value v = own(c);
  if (to == StoredType::boolean && x.type != StoredType::boolean) v = c.unary("not", c.binary("equal", v, c.scalar(0, c.dtype(v))));
  else if (device_type(to) == DType::i32 && x.type != StoredType::boolean && is_small(to)) c.unsupported("a cast to {}", stored_name(to));
  else v = c.cast(v, device_type(to));
  if (x.value && v == x.value && !c.folding()) {  // f16 and f64 are f32 here
    OnnxTensor same = x;
    same.type = to;
    return c.pass(0, same);
  }
  c.out(0, v, to, x.value && x.channels_last);
}

void cast(NodeImport& c) {
  const auto to = type_of_onnx(c.integer("to", 0));
  if (!to) c.unsupported("a cast to type {}, which is no number", c.integer("to", 0));
  cast_to(c, *to);
}

void cast_like(NodeImport& c) { cast_to(c, c.in(1).type); }

// ---- two operands and more ------------------------------------------------------------------------------------------

struct Operands {
  std::vector<Value> values;
  bool channels_last = false;
};

// In one order: that of the highest rank where it has one of its own.
Operands together(NodeImport& c, const std::vector<OnnxTensor>& list) {
  int64_t rank = 0;
  for (const OnnxTensor& t : list) rank = std::max(rank, t.rank());
  const auto leads = [&](const OnnxTensor& t) { return t.value && t.channels_last && t.rank() == rank; };
  Operands o;
  for (const OnnxTensor& t : list) o.channels_last = o.channels_last || leads(t);
  for (const OnnxTensor& t : list) {
    Value v = o.channels_last && leads(t) ? t.value : c.plain(t);
    if (o.channels_last && !leads(t) && t.elements() != 1) {
      std::vector<int64_t> dims(size_t(rank - t.rank()), 1);
      dims.insert(dims.end(), t.shape.begin(), t.shape.end());
      v = c.transpose(c.reshape(v, dims), to_channels_last(rank));
    }
    o.values.push_back(v);
  }
  return o;
}

// Opset 6: b stands at `axis` of a, with attr broadcast.
OnnxTensor second(NodeImport& c) {
  OnnxTensor b = c.in(1);
  if (c.opset() >= 7 || !c.integer("broadcast", 0) || !c.has("axis")) return b;
  const int64_t behind = c.in(0).rank() - c.axis(c.integer("axis", 0), c.in(0).rank()) - b.rank();
  if (behind < 0) c.wrong("the second operand reaches past the first");
  std::vector<int64_t> dims = b.shape;
  dims.insert(dims.end(), size_t(behind), 1);
  b.value = c.reshape(c.plain(b), dims);
  b.known.reset();
  b.shape = dims;
  b.channels_last = false;
  return b;
}

// Sums and products as the ops that fuse, where they fit.
Value combined(NodeImport& c, const char* function, const Operands& o) {
  const Value a = o.values[0], b = o.values[1];
  const std::vector<int64_t> s = c.shape(a), t = c.shape(b);
  const bool real = c.dtype(a) == DType::f32 && c.dtype(b) == DType::f32 && c.graph().desc(a).elements() > 0 && !c.folding();
  if (real && s == t && function == std::string_view("add")) return c.add(ops::add, {}, {a, b});
  if (real && function == std::string_view("mul") && s.size() == 4 && t.size() == 4) {
    const auto gates = [](const std::vector<int64_t>& x, const std::vector<int64_t>& y) { return y == x || (y[0] == x[0] && y[1] == 1 && y[2] == 1 && y[3] == x[3]); };
    if (gates(s, t)) return c.add(ops::mul, {}, {a, b});
    if (gates(t, s)) return c.add(ops::mul, {}, {b, a});
  }
  return c.binary(function, a, b);
}

template <Name kFunction>
void arithmetic(NodeImport& c) {
  const Operands o = together(c, {c.in(0), second(c)});
  c.out(0, combined(c, kFunction.text, o), c.in(0).type, o.channels_last);
}

template <Name kFunction>
void comparison(NodeImport& c) {
  const Operands o = together(c, {c.in(0), second(c)});
  c.out(0, c.binary(kFunction.text, o.values[0], o.values[1]), StoredType::boolean, o.channels_last);
}

void power(NodeImport& c) {
  Operands o = together(c, {c.in(0), second(c)});
  const DType type = c.dtype(o.values[0]);
  for (Value& v : o.values) v = c.cast(v, DType::f32);
  c.out(0, c.cast(c.binary("pow", o.values[0], o.values[1]), type), c.in(0).type, o.channels_last);
}

void modulo(NodeImport& c) {
  const Operands o = together(c, {c.in(0), c.in(1)});
  c.out(0, c.binary(c.integer("fmod", 0) ? "fmod" : "mod", o.values[0], o.values[1]), c.in(0).type, o.channels_last);
}

void prelu(NodeImport& c) {
  OnnxTensor slope = c.in(1);
  if (slope.rank() == 1 && c.opset() < 7 && slope.elements() != 1) {  // one for each channel
    std::vector<int64_t> dims(size_t(std::max<int64_t>(c.in(0).rank() - 1, 1)), 1);
    dims[0] = slope.elements();
    slope.value = c.reshape(c.plain(slope), dims);
    slope.known.reset();
    slope.shape = dims;
  }
  const Operands o = together(c, {c.in(0), slope});
  c.out(0, c.binary("prelu", o.values[0], o.values[1]), c.in(0).type, o.channels_last);
}

template <Name kFunction>
void variadic(NodeImport& c) {
  std::vector<OnnxTensor> list;
  for (int i = 0; i < c.inputs(); ++i) list.push_back(c.in(i));
  const Operands o = together(c, list);
  Value v = o.values.at(0);
  for (size_t i = 1; i < o.values.size(); ++i) v = combined(c, kFunction.text, {{v, o.values[i]}, o.channels_last});
  if (o.values.size() == 1) return c.pass(0, c.in(0));
  c.out(0, v, c.in(0).type, o.channels_last);
}

void mean(NodeImport& c) {
  variadic<"add">(c);
  const OnnxTensor sum = c.results[0];
  if (c.inputs() > 1) c.out(0, c.binary("div", sum.value, c.scalar(c.inputs())), sum.type, sum.channels_last);
}

void where(NodeImport& c) {
  const Operands o = together(c, {c.in(0), c.in(1), c.in(2)});
  c.out(0, c.select(o.values[0], o.values[1], o.values[2]), c.in(1).type, o.channels_last);
}

constexpr OnnxOperator kRows[] = {
    {"Abs", 1, unary<"abs">},
    {"Acos", 7, unary<"acos">},
    {"Acosh", 9, unary<"acosh">},
    {"Add", 1, arithmetic<"add">},
    {"And", 1, comparison<"and">},
    {"Asin", 7, unary<"asin">},
    {"Asinh", 9, unary<"asinh">},
    {"Atan", 7, unary<"atan">},
    {"Atanh", 9, unary<"atanh">},
    {"Cast", 6, cast},
    {"CastLike", 15, cast_like},
    {"Ceil", 1, unary<"ceil">},
    {"Celu", 12, celu},
    {"Clip", 6, clip_6},
    {"Clip", 11, clip_11},
    {"Cos", 7, unary<"cos">},
    {"Cosh", 9, unary<"cosh">},
    {"Div", 1, arithmetic<"div">},
    {"Elu", 1, with_alpha<"elu", "alpha", 1000>},
    {"Equal", 1, comparison<"equal">},
    {"Erf", 9, unary<"erf">},
    {"Exp", 1, unary<"exp">},
    {"Floor", 1, unary<"floor">},
    {"Gelu", 20, gelu},
    {"Greater", 1, comparison<"greater">},
    {"GreaterOrEqual", 12, comparison<"greater_equal">},
    {"HardSigmoid", 1, hard_sigmoid},
    {"HardSwish", 14, hard_swish},
    {"IsInf", 10, is_inf},
    {"IsNaN", 9, test<"isnan">},
    {"LeakyRelu", 1, with_alpha<"leaky_relu", "alpha", 10>},
    {"Less", 1, comparison<"less">},
    {"LessOrEqual", 12, comparison<"less_equal">},
    {"Log", 1, unary<"log">},
    {"Max", 1, variadic<"max">},
    {"Mean", 1, mean},
    {"Min", 1, variadic<"min">},
    {"Mish", 18, unary<"mish">},
    {"Mod", 10, modulo},
    {"Mul", 1, arithmetic<"mul">},
    {"Neg", 1, unary<"neg">},
    {"Not", 1, test<"not">},
    {"Or", 1, comparison<"or">},
    {"PRelu", 1, prelu},
    {"Pow", 1, power},
    {"Reciprocal", 1, unary<"reciprocal">},
    {"Relu", 1, relu},
    {"Round", 11, unary<"round">},
    {"Selu", 1, selu},
    {"Shrink", 9, shrink},
    {"Sigmoid", 1, sigmoid},
    {"Sign", 9, unary<"sign">},
    {"Sin", 7, unary<"sin">},
    {"Sinh", 9, unary<"sinh">},
    {"Softplus", 1, unary<"softplus">},
    {"Softsign", 1, unary<"softsign">},
    {"Sqrt", 1, unary<"sqrt">},
    {"Sub", 1, arithmetic<"sub">},
    {"Sum", 1, variadic<"add">},
    {"Tan", 7, unary<"tan">},
    {"Tanh", 1, unary<"tanh">},
    {"ThresholdedRelu", 10, with_alpha<"thresholded_relu", "alpha", 1000>},
    {"Where", 9, where},
    {"Xor", 1, comparison<"xor">},
};

}  // namespace

const std::span<const OnnxOperator> kElementwiseOperators = kRows;

}  // namespace vkfer
