// Optimizer steps, to the letter of torch.optim: SGD (Sutskever et al., 2013), Adam (Kingma, Ba, 2015), AdamW (Loshchilov,
// Hutter, 2019). What changes from step to step comes in the buffer hyper [8], so that recorded commands replay.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/pack.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kHyper = 8;

// What a step reads besides the packed tensors: hyper, and with mixed precision the loss scale and whether the step is to be skipped.
struct Extras {
  size_t first;      // input number of hyper
  bool scaled, may_skip;
};

Extras extras_of(const Attrs& attrs, size_t inputs, size_t kinds) {
  const size_t first = kinds * size_t(attrs.integer("tensors", 1));
  return {first, inputs > first + 1, inputs > first + 2};
}

size_t check_step(std::string_view op, std::string_view label, const Attrs& attrs, std::span<const TensorDesc> in,
                  std::initializer_list<std::string_view> kinds) {
  const InputCheck check(op, label, in);
  const size_t n = check_packed(check, attrs, in, kinds, 1, 3);
  const auto [first, scaled, may_skip] = extras_of(attrs, in.size(), kinds.size());
  check.dtype(first, "hyper", DType::f32);
  check.shape(first, "hyper", Shape{kHyper});
  for (size_t i = first + 1; i < in.size(); ++i) check.dtype(i, "loss_scale, nonfinite", DType::f32), check.shape(i, "loss_scale, nonfinite", Shape{1});
  for (const char* name : {"rate_factors", "decay_factors"}) {
    const size_t got = attrs.numbers(name, {}).size();
    check.require(got == 0 || got == n, "got {} {}, expected one for each of {} tensors. Fix: correct the attribute.", got, name, n);
  }
  return n;
}

double factor_of(const Attrs& attrs, const char* name, size_t tensor) {
  const Numbers factors = attrs.numbers(name, {});
  return factors.empty() ? 1 : factors[tensor];
}

// kinds of inputs: param, grad, then what the optimizer keeps.
void lower_step(Lowering& l, const char* module, int kinds, std::initializer_list<uint32_t> selectors) {
  const int n = l.tensors();
  for (int kept = 0; kept < kinds - 1; ++kept)
    for (int t = 0; t < n; ++t) copy_unless_updated(l, kept * n + t, (kept ? kept + 1 : 0) * n + t);
  const auto [first, scaled, may_skip] = extras_of(l.attrs(), size_t(l.inputs()), size_t(kinds));
  const int hyper = int(first);
  for (const PackLaunch& launch : pack_launches(l, l.attrs().numbers("rate_factors", {}), l.attrs().numbers("decay_factors", {}))) {
    std::vector<Binding> bindings{l.in_pack(1, launch.offset, launch.bytes)};
    for (int kept = 0; kept < kinds - 1; ++kept) bindings.push_back(l.out_pack(kept, launch.offset, launch.bytes));
    bindings.push_back(l.in(hyper));
    bindings.push_back(l.table(std::as_bytes(std::span(launch.ranges))));
    bindings.push_back(l.in(scaled ? hyper + 1 : hyper)), bindings.push_back(l.in(may_skip ? hyper + 2 : hyper));  // else bound, but not read
    std::vector<uint32_t> constants{l.target.workgroup, l.target.vectors_per_invocation, launch.ragged, scaled, may_skip};
    constants.insert(constants.end(), selectors);
    l.dispatch(module, std::move(constants), std::move(bindings), params::Pack{uint32_t(launch.ranges.size()), launch.groups},
               l.linear_groups(launch.groups));
  }
}

// Rows of cases(): `tensors` shapes, each kind filled alike. scale 0: without; nonfinite -1: a scale alone.
Case step_case(const std::vector<Shape>& tensors, const std::vector<Fill>& kinds, Attrs attrs, Numbers hyper, double scale = 0,
               double nonfinite = 0) {
  Case c{.attrs = std::move(attrs)};
  if (tensors.size() > 1) c.attrs.set("tensors", int64_t(tensors.size()));
  for (const Fill& fill : kinds)
    for (const Shape& shape : tensors) c.in.push_back(f32(shape)), c.fill.push_back(fill);
  const auto fixed = [&](Numbers numbers) { c.in.push_back(f32({int64_t(numbers.size())})), c.fill.push_back(Fill::fixed(numbers)); };
  fixed(std::move(hyper));
  if (scale != 0) fixed({scale});
  if (scale != 0 && nonfinite >= 0) fixed({nonfinite});
  return c;
}

// ---- sgd ----

std::vector<TensorDesc> sgd_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const size_t n = check_step("sgd", label, attrs, in, {"param", "grad", "velocity"});
  std::vector<TensorDesc> out(in.begin(), in.begin() + ptrdiff_t(n));
  out.insert(out.end(), in.begin(), in.begin() + ptrdiff_t(n));
  return out;
}

void sgd_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = out.size() / 2;
  const auto [first, scaled, may_skip] = extras_of(attrs, in.size(), 3);
  const HostTensor& hyper = in[first];
  const double momentum = hyper[1], unscale = scaled ? 1 / in[first + 1][0] : 1;
  const bool skipped = may_skip && in[first + 2][0] != 0;
  for (size_t t = 0; t < n; ++t) {
    const HostTensor &param = in[t], &grad = in[n + t], &old = in[2 * n + t];
    const double rate = hyper[0] * factor_of(attrs, "rate_factors", t), weight_decay = hyper[4] * factor_of(attrs, "decay_factors", t);
    for (size_t i = 0; i < param.data.size(); ++i) {
      const double g = grad[i] * unscale + weight_decay * param[i], velocity = momentum * old[i] + g;
      const double step = rate * (attrs.integer("nesterov", 0) ? g + momentum * velocity : velocity);
      out[t][i] = skipped ? param[i] : param[i] - step;
      out[n + t][i] = skipped ? old[i] : velocity;
    }
  }
}

void sgd_lower(Lowering& l) { lower_step(l, "sgd.f32", 3, {uint32_t(l.attrs().integer("nesterov", 0) != 0)}); }

// Tensors that are smaller and larger than a workgroup's share, with and without a remainder.
const std::vector<Shape> kManyTensors{{3}, {3, 3, 4, 8}, {1}, {700}, {8}, {33, 17}, {2, 2}};

std::vector<Case> sgd_cases() {
  const auto row = [](const std::vector<Shape>& tensors, bool nesterov, Numbers hyper, Attrs attrs = {}, double scale = 0, double nonfinite = 0) {
    return step_case(tensors, {Fill::real(), Fill::real(), Fill::real()}, attrs.set("nesterov", nesterov), std::move(hyper), scale, nonfinite);
  };
  const Numbers whole{2, 3, 0, 0, 1, 0, 0, 0};
  const Attrs factors{{"rate_factors", Numbers{1, 0, 2, 1, 3, 1, 1}}, {"decay_factors", Numbers{1, 1, 0, 2, 1, 1, 0}}};
  return {row({{1}}, false, {0.1, 0.9, 0, 0, 1e-4, 0, 0, 0}),
          row({{3, 3, 5, 7}}, false, {0.01, 0.9, 0, 0, 0.01, 0, 0, 0}),
          row({{3, 3, 4, 8}}, true, {0.05, 0.8, 0, 0, 1e-3, 0, 0, 0}),
          row({{1000}}, false, {0.5, 0, 0, 0, 0, 0, 0, 0}),
          row({{7, 5}}, true, {0.1, 0.9, 0, 0, 0, 0, 0, 0}),
          row({{33, 17}}, false, whole),
          row(kManyTensors, true, whole),
          row(kManyTensors, false, whole, factors),
          row({{64}, {128}}, false, {0.05, 0.8, 0, 0, 1e-3, 0, 0, 0}),
          row(kManyTensors, false, whole, {}, 0.5),
          row({{5}, {7}}, false, whole, {}, 65536, 1),
          row({{5}, {7}}, true, {0.05, 0.8, 0, 0, 1e-3, 0, 0, 0}, {}, 1024),
          row(kManyTensors, true, whole, {}, 4, -1)};
}

// ---- adam ----

bool keras_epsilon(const Attrs& attrs, std::string_view label) {
  const std::string epsilon = attrs.text("epsilon", "torch");
  if (epsilon != "torch" && epsilon != "keras")
    fail("adam", "'{}': got epsilon='{}', expected torch or keras. Fix: correct the attribute.", label, epsilon);
  return epsilon == "keras";
}

std::vector<TensorDesc> adam_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  keras_epsilon(attrs, label);
  const size_t n = check_step("adam", label, attrs, in, {"param", "grad", "m", "v"});
  std::vector<TensorDesc> out;
  for (int kind = 0; kind < 3; ++kind) out.insert(out.end(), in.begin(), in.begin() + ptrdiff_t(n));
  return out;
}

void adam_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = out.size() / 3;
  const auto [first, scaled, may_skip] = extras_of(attrs, in.size(), 4);
  const HostTensor& hyper = in[first];
  const double beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3];
  const double bias1 = hyper[5], bias2 = hyper[6], rest2 = hyper[7] != 0 ? hyper[7] : 1 - beta2;
  const double unscale = scaled ? 1 / in[first + 1][0] : 1;
  const bool skipped = may_skip && in[first + 2][0] != 0;
  const bool decoupled = attrs.integer("decoupled", 0) != 0, keras = keras_epsilon(attrs, "");
  for (size_t t = 0; t < n; ++t) {
    const double rate = hyper[0] * factor_of(attrs, "rate_factors", t), weight_decay = hyper[4] * factor_of(attrs, "decay_factors", t);
    for (size_t i = 0; i < in[t].data.size(); ++i) {
      const double old = in[t][i], old_m = in[2 * n + t][i], old_v = in[3 * n + t][i];
      double p = old, g = in[n + t][i] * unscale;
      if (decoupled)
        p -= rate * weight_decay * p;
      else
        g += weight_decay * p;
      const double m = beta1 * old_m + (1 - beta1) * g, v = beta2 * old_v + rest2 * g * g;
      p -= keras ? rate * bias1 / std::sqrt(bias2) * m / (std::sqrt(v) + eps) : rate * bias1 * m / (std::sqrt(v * bias2) + eps);
      out[t][i] = skipped ? old : p;
      out[n + t][i] = skipped ? old_m : m;
      out[2 * n + t][i] = skipped ? old_v : v;
    }
  }
}

void adam_lower(Lowering& l) {
  lower_step(l, "adam.f32", 4, {uint32_t(l.attrs().integer("decoupled", 0) != 0), uint32_t(keras_epsilon(l.attrs(), l.label()))});
}

std::vector<Case> adam_cases() {
  const auto row = [](const std::vector<Shape>& tensors, bool decoupled, const char* epsilon, Numbers hyper, Attrs attrs = {},
                      double scale = 0, double nonfinite = 0) {
    return step_case(tensors, {Fill::real(), Fill::real(), Fill::real(), Fill::real(0, 1)},
                     attrs.set("decoupled", decoupled).set("epsilon", epsilon), std::move(hyper), scale, nonfinite);
  };
  const Numbers first{1e-3, 0.9, 0.999, 1e-8, 0, 1 / (1 - 0.9), 1 / (1 - 0.999), 1 - 0.999};
  const Numbers tenth{1e-2, 0.9, 0.99, 1e-7, 0.01, 1 / (1 - 0.34867844010000004), 1 / (1 - 0.9043820750088043), 0};
  const Numbers large{1, 0.5, 0.75, 0.125, 0.5, 2, 4, 0};
  const Attrs factors{{"rate_factors", Numbers{1, 0, 2, 1, 0.5, 1, 1}}, {"decay_factors", Numbers{1, 1, 0, 2, 1, 0.25, 0}}};
  return {row({{1}}, false, "torch", first),         row({{3, 3, 5, 7}}, false, "torch", tenth),
          row({{3, 3, 4, 8}}, true, "torch", tenth), row({{1000}}, false, "keras", first),
          row({{7, 5}}, true, "keras", large),       row({{33, 17}}, true, "torch", large),
          row({{6, 6}}, false, "torch", large),      row(kManyTensors, true, "torch", tenth),
          row(kManyTensors, true, "torch", large, factors), row(kManyTensors, false, "torch", large, factors),
          row({{64}, {128}}, false, "keras", tenth), row(kManyTensors, true, "torch", tenth, {}, 1024),
          row({{5}, {7}}, false, "torch", large, {}, 65536, 1),
          row(kManyTensors, true, "torch", tenth, {}, 4, -1)};
}

}  // namespace

const OpDef sgd{.name = "sgd",
                .shape = sgd_shape,
                .reference = sgd_reference,
                .lower = sgd_lower,
                .cost = packed_cost<6>,
                .cases = sgd_cases,
                .in_place = {{0, 0}, {1, 2}},
                .packed_inputs = 3,
                .packed_outputs = 2,
                .exact_on_integers = true,
                .error = 1e-6};

const OpDef adam{.name = "adam",
                 .shape = adam_shape,
                 .reference = adam_reference,
                 .lower = adam_lower,
                 .cost = packed_cost<14>,
                 .cases = adam_cases,
                 .in_place = {{0, 0}, {1, 2}, {2, 3}},
                 .packed_inputs = 4,
                 .packed_outputs = 3,
                 .error = 2e-6};

}  // namespace vkfer::ops
