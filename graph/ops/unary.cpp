// unary: functions of one number, element by element, as ONNX defines them; and their slopes.
#include <bit>
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/functions.h"

namespace vkfer::ops {

namespace {

struct Settings {
  double alpha, beta, gamma, lo, hi;
};
using Value1 = double (*)(double x, const Settings&);

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double gelu_tanh(double x) { return std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)); }
double sign(double x) { return double(x > 0) - double(x < 0); }

enum class Kind : uint8_t { real, both, test };   // takes f32; f32 or i32; f32 and gives i32, 0 or 1

struct Function {
  const char* name;
  Kind kind;
  Value1 value, slope;                             // slope null: none, or zero
  double alpha = 0, beta = 0, gamma = 0;           // where the attributes are not given
  double lo = -3, hi = 3;                          // what the test rows hold
};

#define F(e) [](double x, [[maybe_unused]] const Settings& s) -> double { return e; }
// By number: shaders/params/functions.h.
const Function kFunctions[] = {
    {"identity", Kind::both, F(x), F((void(x), 1))},
    {"neg", Kind::both, F(-x), F((void(x), -1))},
    {"abs", Kind::both, F(std::abs(x)), F(sign(x))},
    {"sign", Kind::both, F(sign(x)), nullptr},
    {"floor", Kind::real, F(std::floor(x)), nullptr},
    {"ceil", Kind::real, F(std::ceil(x)), nullptr},
    {"round", Kind::real, F(std::nearbyint(x)), nullptr},
    {"reciprocal", Kind::real, F(1 / x), F(-1 / (x * x)), 0, 0, 0, 0.3, 4},
    {"sqrt", Kind::real, F(std::sqrt(x)), F(0.5 / std::sqrt(x)), 0, 0, 0, 0.1, 9},
    {"exp", Kind::real, F(std::exp(x)), F(std::exp(x)), 0, 0, 0, -20, 5},
    {"log", Kind::real, F(std::log(x)), F(1 / x), 0, 0, 0, 0.05, 3},
    {"erf", Kind::real, F(std::erf(x)), F(2 / std::sqrt(M_PI) * std::exp(-x * x))},
    {"sin", Kind::real, F(std::sin(x)), F(std::cos(x)), 0, 0, 0, -40, 40},
    {"cos", Kind::real, F(std::cos(x)), F(-std::sin(x)), 0, 0, 0, -40, 40},
    {"tan", Kind::real, F(std::tan(x)), F(1 / (std::cos(x) * std::cos(x))), 0, 0, 0, -1.4, 1.4},
    {"asin", Kind::real, F(std::asin(x)), F(1 / std::sqrt(1 - x * x)), 0, 0, 0, -0.98, 0.98},
    {"acos", Kind::real, F(std::acos(x)), F(-1 / std::sqrt(1 - x * x)), 0, 0, 0, -0.98, 0.98},
    {"atan", Kind::real, F(std::atan(x)), F(1 / (1 + x * x)), 0, 0, 0, -6, 6},
    {"sinh", Kind::real, F(std::sinh(x)), F(std::cosh(x))},
    {"cosh", Kind::real, F(std::cosh(x)), F(std::sinh(x))},
    {"tanh", Kind::real, F(std::tanh(x)), F(1 - std::tanh(x) * std::tanh(x)), 0, 0, 0, -4, 4},
    {"asinh", Kind::real, F(std::asinh(x)), F(1 / std::sqrt(1 + x * x)), 0, 0, 0, -20, 20},
    {"acosh", Kind::real, F(std::acosh(x)), F(1 / std::sqrt(x * x - 1)), 0, 0, 0, 1.1, 20},
    {"atanh", Kind::real, F(std::atanh(x)), F(1 / (1 - x * x)), 0, 0, 0, -0.95, 0.95},
    {"softplus", Kind::real, F(softplus(x)), F(logistic(x)), 0, 0, 0, -9, 9},
    {"softsign", Kind::real, F(x / (1 + std::abs(x))), F(1 / ((1 + std::abs(x)) * (1 + std::abs(x))))},
    {"elu", Kind::real, F(x > 0 ? x : s.alpha * std::expm1(x)), F(x > 0 ? 1 : s.alpha * std::exp(x)), 1},
    {"leaky_relu", Kind::real, F(x < 0 ? s.alpha * x : x), F(x < 0 ? s.alpha : 1), 0.01},
    {"selu", Kind::real, F(s.gamma * (x > 0 ? x : s.alpha * std::expm1(x))), F(s.gamma * (x > 0 ? 1 : s.alpha * std::exp(x))),
     1.67326319217681884765625, 0, 1.05070102214813232421875},
    {"celu", Kind::real, F(x > 0 ? x : s.alpha * std::expm1(x / s.alpha)), F(x > 0 ? 1 : std::exp(x / s.alpha)), 1},
    {"hard_sigmoid", Kind::real, F(std::clamp(s.alpha * x + s.beta, 0.0, 1.0)),
     F(s.alpha * x + s.beta > 0 && s.alpha * x + s.beta < 1 ? s.alpha : 0), 0.2, 0.5, 0, -5, 5},
    {"hard_swish", Kind::real, F(x * std::clamp(s.alpha * x + s.beta, 0.0, 1.0)),
     F(s.alpha * x + s.beta <= 0 ? 0 : s.alpha * x + s.beta >= 1 ? 1 : 2 * s.alpha * x + s.beta), 1.0 / 6, 0.5, 0, -5, 5},
    {"thresholded_relu", Kind::real, F(x > s.alpha ? x : 0), F(x > s.alpha), 1},
    {"clip", Kind::both, F(std::min(std::max(x, s.lo), s.hi)), F(x > s.lo && x < s.hi)},
    {"gelu", Kind::real, F(x / 2 * (1 + std::erf(x * M_SQRT1_2))), F((1 + std::erf(x * M_SQRT1_2)) / 2 + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI))},
    {"gelu_tanh", Kind::real, F(x / 2 * (1 + gelu_tanh(x))),
     F((1 + gelu_tanh(x)) / 2 + x / 2 * (1 - gelu_tanh(x) * gelu_tanh(x)) * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x))},
    {"mish", Kind::real, F(x * std::tanh(softplus(x))),
     F(std::tanh(softplus(x)) + x * (1 - std::pow(std::tanh(softplus(x)), 2)) * logistic(x)), 0, 0, 0, -9, 9},
    {"swish", Kind::real, F(x * logistic(s.alpha * x)),
     F(logistic(s.alpha * x) + s.alpha * x * logistic(s.alpha * x) * (1 - logistic(s.alpha * x))), 1, 0, 0, -9, 9},
    {"shrink", Kind::real, F(x < -s.alpha ? x + s.beta : x > s.alpha ? x - s.beta : 0), F(x < -s.alpha || x > s.alpha), 0.5},
    {"isnan", Kind::test, F(std::isnan(x)), nullptr},
    {"isinf", Kind::test, F(std::isinf(x) && (x < 0 ? s.alpha : s.beta) != 0), nullptr, 1, 1},
    {"not", Kind::both, F(x == 0), nullptr},
};
#undef F
static_assert(std::size(kFunctions) == params::kNot + 1);

uint32_t number_of(const Attrs& attrs, std::string_view op, std::string_view label) { return function_number(kFunctions, attrs, op, label); }

Settings settings_of(const Attrs& attrs, const Function& f) {
  return {attrs.number("alpha", f.alpha), attrs.number("beta", f.beta), attrs.number("gamma", f.gamma), attrs.number("lo", -kInfinity),
          attrs.number("hi", kInfinity)};
}

std::vector<TensorDesc> unary_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("unary", label, in);
  const uint32_t number = number_of(attrs, "unary", label);
  const Function& f = kFunctions[number];
  check.count(1);
  settings_of(attrs, f);
  if (number == params::kNot) check.dtype(0, "x", DType::i32);
  else if (f.kind != Kind::both || in[0].dtype != DType::i32) check.dtype(0, "x", DType::f32);
  return {{in[0].shape, f.kind == Kind::test ? DType::i32 : in[0].dtype}};
}

void unary_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Function& f = kFunctions[number_of(attrs, "unary", "reference")];
  const Settings s = settings_of(attrs, f);
  for (size_t i = 0; i < out[0].data.size(); ++i) out[0][i] = f.value(in[0][i], s);
}

void unary_gradient(Gradient& g) {
  const Function& f = kFunctions[number_of(g.attrs(), "unary", "gradient")];
  if (g.wants(0) && f.slope) g.set(0, g.add(unary_grad, g.attrs(), {g.in(0), g.grad()}, "grad")[0]);
}

float bound(double x, bool integer) {
  if (!integer) return float(x);
  return std::bit_cast<float>(int32_t(std::clamp(x, double(INT32_MIN), double(INT32_MAX))));
}

void lower_math(Lowering& l, uint32_t number, const Settings& s, bool integer, bool gradient) {
  for (Slice part : l.flat_slices(l.out_desc(0).elements(), 4)) {
    const bool four = part.count % 4 == 0;
    const int64_t units = four ? part.count / 4 : part.count;
    const uint32_t per_invocation = units_per_invocation(l, units);
    const params::Math push{uint32_t(units), per_invocation, float(s.alpha), float(s.beta), float(s.gamma), bound(s.lo, integer), bound(s.hi, integer)};
    const Binding x = Lowering::flat(l.in(0), DType::f32, part);
    l.dispatch("unary_math.f32", {l.target.workgroup, number, uint32_t(integer), uint32_t(four), uint32_t(gradient)},
               {x, gradient ? Lowering::flat(l.in(1), DType::f32, part) : x, Lowering::flat(l.out(0), DType::f32, part)}, push,
               groups_for_units(l, units, per_invocation));
  }
}

void lower_function(Lowering& l, bool gradient) {
  const uint32_t number = number_of(l.attrs(), "unary", l.label());
  lower_math(l, number, settings_of(l.attrs(), kFunctions[number]), l.in_desc(0).dtype == DType::i32, gradient);
}

void unary_lower(Lowering& l) { lower_function(l, false); }

Attrs attrs_of(const Function& f) {
  Attrs attrs{{"function", f.name}};
  if (std::string_view(f.name) == "clip") attrs.set("lo", -1.25).set("hi", 2.0);
  return attrs;
}

std::vector<Case> unary_cases() {
  std::vector<Case> cases;
  for (const Function& f : kFunctions) {
    const bool odd = (&f - kFunctions) % 2;
    const Shape shape = odd ? Shape{5, 7, 3} : Shape{4, 3, 2, 1, 8};
    const Attrs attrs = attrs_of(f);
    if (&f == kFunctions + params::kNot) {
      cases.push_back({.in = {i32(shape)}, .attrs = attrs, .fill = {Fill::index(-1, 1)}});
      continue;
    }
    cases.push_back({.in = {f32(shape)}, .attrs = attrs, .fill = {f.slope ? Fill::real(f.lo, f.hi) : Fill::fixed({-2.5, 0, -1, 1.5, 0.5, 2, -0.25, 3.7})}});
    if (f.kind != Kind::both) continue;
    Attrs whole = attrs;
    if (whole.has("lo")) whole.set("lo", -1);  // limits of integers are integers
    cases.push_back({.in = {i32(shape)}, .attrs = whole, .fill = {Fill::index(-9, 9)}});
  }
  // Far from 0 and near it, where a careless formula loses its digits; and what is no number.
  const auto at = [&](const char* name, Numbers values, Attrs attrs = {}) {
    cases.push_back({.in = {f32({int64_t(values.size())})}, .attrs = attrs.set("function", name), .fill = {Fill::fixed(values)}});
  };
  for (const char* name : {"tanh", "sinh", "asinh", "atanh", "erf", "softsign", "sin", "tan", "asin", "atan", "elu", "celu"})
    at(name, {1e-6, -3e-6, 2e-5, -1e-5, 4e-5});
  at("log", {1.000001, 0.99999, 1.00002});
  at("log", {1e-30, 1e30, 2e-38});  // devices may take smaller numbers for 0
  at("exp", {-200, -87, 88, 60});
  at("sin", {3000, -5000, 710.5});
  at("tanh", {-90, 90, 20, -15});
  for (const char* name : {"softplus", "mish", "gelu", "swish", "gelu_tanh"}) at(name, {-100, -30, 30, 100, 0});
  at("isnan", {std::nan(""), 0, kInfinity, -1});
  at("isinf", {std::nan(""), 0, kInfinity, -kInfinity, 1e30});
  at("isinf", {std::nan(""), 0, kInfinity, -kInfinity}, {{"alpha", 0}});
  at("clip", {-kInfinity, 3, 1e30}, {{"lo", 1.0}});
  cases.push_back({.in = {f32({3, 0, 2})}, .attrs = {{"function", "exp"}}});
  cases.push_back({.in = {f32({})}, .attrs = {{"function", "tanh"}}});
  cases.push_back({.in = {f32({2, 24, 23, 12})}, .attrs = {{"function", "leaky_relu"}, {"alpha", 0.25}}});
  return cases;
}

// ---- dx = dy f'(x) ----

std::vector<TensorDesc> grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("unary_grad", label, in);
  const Function& f = kFunctions[number_of(attrs, "unary_grad", label)];
  settings_of(attrs, f);
  check.count(2);
  check.dtype(0, "x", DType::f32), check.dtype(1, "dy", DType::f32);
  check.same_shape(1, "dy", 0, "x");
  check.require(f.slope, "{} has no slope. Fix: leave it out.", f.name);
  return {in[0]};
}

void grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Function& f = kFunctions[number_of(attrs, "unary_grad", "reference")];
  const Settings s = settings_of(attrs, f);
  for (size_t i = 0; i < out[0].data.size(); ++i) out[0][i] = in[1][i] * f.slope(in[0][i], s);
}

void grad_lower(Lowering& l) { lower_function(l, true); }

}  // namespace

void lower_unary(Lowering& l, uint32_t number, bool integer) { lower_math(l, number, {}, integer, false); }

const OpDef unary{.name = "unary",
                  .shape = unary_shape,
                  .reference = unary_reference,
                  .grad = unary_gradient,
                  .lower = unary_lower,
                  .cost = elementwise_cost<10>,
                  .cases = unary_cases,
                  .in_place = {{0, 0}},
                  .exact_on_integers = true,
                  .error = 1e-6};

const OpDef unary_grad{.name = "unary_grad",
                       .shape = grad_shape,
                       .reference = grad_reference,
                       .lower = grad_lower,
                       .cost = elementwise_cost<12>,
                       .in_place = {{0, 0}, {0, 1}},
                       .exact_on_integers = true,
                       .error = 2e-6};

}  // namespace vkfer::ops
