// Activation functions as ops of their own, and their gradient.
//   relu6      Howard et al., MobileNets, 2017          silu       Elfwing et al., 2017; Ramachandran et al. (swish), 2017
//   hardswish  Howard et al., Searching for MobileNetV3, 2019
#include "graph/ops/activation.h"

#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"

namespace vkfer::ops {

namespace {

constexpr std::pair<Activation, const char*> kNames[] = {
    {Activation::none, "none"}, {Activation::relu, "relu"},       {Activation::relu6, "relu6"},
    {Activation::silu, "silu"}, {Activation::sigmoid, "sigmoid"}, {Activation::hardswish, "hardswish"}};

constexpr uint32_t kBinaryActivationGrad = 2;  // shaders/binary.comp

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Activation activation_from_name(const std::string& name, const std::string& label) {
  for (auto [activation, text] : kNames)
    if (name == text) return activation;
  fail("activation",
       "'{}': unknown activation: got '{}', expected none, relu, relu6, silu, sigmoid or hardswish. Fix: correct the "
       "name.",
       label, name);
}

double activate(Activation f, double x) {
  switch (f) {
    case Activation::relu: return std::max(x, 0.0);
    case Activation::relu6: return std::clamp(x, 0.0, 6.0);
    case Activation::silu: return x * logistic(x);
    case Activation::sigmoid: return logistic(x);
    case Activation::hardswish: return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case Activation::none: break;
  }
  return x;
}

double activate_slope(Activation f, double x) {
  switch (f) {
    case Activation::relu: return x > 0;
    case Activation::relu6: return x > 0 && x < 6;
    case Activation::silu: {
      const double s = logistic(x);
      return s * (1 + x * (1 - s));
    }
    case Activation::sigmoid: {
      const double s = logistic(x);
      return s * (1 - s);
    }
    case Activation::hardswish: return x < -3 ? 0 : x > 3 ? 1 : (2 * x + 3) / 6;
    case Activation::none: break;
  }
  return 1;
}

namespace {

template <Activation kFunction>
void reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for (size_t i = 0; i < out[0].data.size(); ++i) out[0][i] = activate(kFunction, in[0][i]);
}

template <Activation kFunction>
void grad(Gradient& g) {
  if (g.wants(0))
    g.set(0, g.add(activation_grad, {{"function", kNames[int(kFunction)].second}}, {g.in(0), g.grad()}, "grad")[0]);
}

template <Activation kFunction>
void lower(Lowering& l) {
  lower_flat(l, l.module("unary", l.in_desc(0).dtype), 1, {uint32_t(kFunction)}, [](Slice s) {
    return params::Flat{uint32_t(s.count), 1};
  });
}

// Wide enough to meet both kinks of relu6 and hardswish; sizes with and without a partial vec4.
std::vector<Case> unary_cases() {
  std::vector<Case> cases;
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 2, 4, 8}, Shape{6}, Shape{2, 24, 23, 12}})
    cases.push_back({.in = {f32(shape)}, .fill = {Fill::real(-9, 9)}});
  cases.push_back({.in = {f32({4, 9})}, .fill = {Fill::fixed({-1e4, -100, -6, -3, -1e-3, 0, 1e-3, 3, 6, 100, 1e4})}});
  return cases;
}

Activation grad_function(const Attrs& attrs, std::string_view label) {
  return activation_from_name(attrs.text("function", ""), std::string(label));
}

std::vector<TensorDesc> grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  grad_function(attrs, label);
  InputCheck("activation_grad", label, in).alike({"x", "dy"});
  return {in[0]};
}

void grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Activation f = grad_function(attrs, "");
  for (size_t i = 0; i < out[0].data.size(); ++i) out[0][i] = in[1][i] * activate_slope(f, in[0][i]);
}

void grad_lower(Lowering& l) {
  lower_flat(l, l.module("binary", l.in_desc(0).dtype), 2,
             {kBinaryActivationGrad, uint32_t(grad_function(l.attrs(), l.label()))}, [](Slice s) {
               return params::Flat{uint32_t(s.count), 1};
             });
}

std::vector<Case> grad_cases() {
  std::vector<Case> cases;
  for (auto [activation, name] : kNames) {
    cases.push_back({.in = {f32({2, 3, 5, 7}), f32({2, 3, 5, 7})},
                     .attrs = {{"function", name}},
                     .fill = {Fill::real(-9, 9), Fill::real()}});
    cases.push_back({.in = {f32({2, 4, 4, 8}), f32({2, 4, 4, 8})},
                     .attrs = {{"function", name}},
                     .fill = {Fill::real(-9, 9), Fill::real()}});
    cases.push_back({.in = {f32({3, 3}), f32({3, 3})},
                     .attrs = {{"function", name}},
                     .fill = {Fill::fixed({-100, -6, -1, 0, 1, 2, 6, 100, 4}), Fill::real()}});
  }
  return cases;
}

}  // namespace

const OpDef relu{.name = "relu",
                 .shape = same_shape<"relu">,
                 .reference = reference<Activation::relu>,
                 .grad = grad<Activation::relu>,
                 .lower = lower<Activation::relu>,
                 .again = same_again,
                 .cost = elementwise_cost<1>,
                 .cases = unary_cases,
                 .in_place = {{0, 0}},
                 .exact_on_integers = true,
                 .error = 1e-7,
                 .half = true};

const OpDef relu6{.name = "relu6",
                  .shape = same_shape<"relu6">,
                  .reference = reference<Activation::relu6>,
                  .grad = grad<Activation::relu6>,
                  .lower = lower<Activation::relu6>,
                  .again = same_again,
                  .cost = elementwise_cost<2>,
                  .cases = unary_cases,
                  .in_place = {{0, 0}},
                  .exact_on_integers = true,
                  .error = 1e-7,
                  .half = true};

const OpDef silu{.name = "silu",
                 .shape = same_shape<"silu">,
                 .reference = reference<Activation::silu>,
                 .grad = grad<Activation::silu>,
                 .lower = lower<Activation::silu>,
                 .again = same_again,
                 .cost = elementwise_cost<4>,
                 .cases = unary_cases,
                 .in_place = {{0, 0}},
                 .error = 2e-6,
                 .half = true};

const OpDef sigmoid{.name = "sigmoid",
                    .shape = same_shape<"sigmoid">,
                    .reference = reference<Activation::sigmoid>,
                    .grad = grad<Activation::sigmoid>,
                    .lower = lower<Activation::sigmoid>,
                    .again = same_again,
                    .cost = elementwise_cost<3>,
                    .cases = unary_cases,
                    .in_place = {{0, 0}},
                    .error = 2e-6,
                    .half = true};

const OpDef hardswish{.name = "hardswish",
                      .shape = same_shape<"hardswish">,
                      .reference = reference<Activation::hardswish>,
                      .grad = grad<Activation::hardswish>,
                      .lower = lower<Activation::hardswish>,
                      .again = same_again,
                      .cost = elementwise_cost<5>,
                      .cases = unary_cases,
                      .in_place = {{0, 0}},
                      .error = 1e-6,
                      .half = true};

const OpDef activation_grad{.name = "activation_grad",
                            .shape = grad_shape,
                            .reference = grad_reference,
                            .lower = grad_lower,
                            .cost = elementwise_cost<4>,
                            .cases = grad_cases,
                            .in_place = {{0, 0}, {0, 1}},
                            .error = 2e-6,
                            .half = true};

}  // namespace vkfer::ops
