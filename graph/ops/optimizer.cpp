// Optimizer steps, to the letter of torch.optim: SGD (Sutskever et al., 2013), Adam (Kingma, Ba, 2015), AdamW (Loshchilov,
// Hutter, 2019). What changes from step to step comes in the buffer hyper [8], so that recorded commands replay.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/optimizer.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kHyper = 8;

// Inputs 0..tensors-1 are alike and f32, then comes hyper.
void check_step(const InputCheck& check, std::initializer_list<std::string_view> tensors) {
  check.count(tensors.size() + 1);
  check.dtype(0, "param", DType::f32);
  check.not_empty(0, "param");
  size_t i = 0;
  for (auto name : tensors) {
    if (i) check.same_shape(i, name, 0, "param"), check.dtype(i, name, DType::f32);
    ++i;
  }
  check.dtype(i, "hyper", DType::f32);
  check.shape(i, "hyper", Shape{kHyper});
}

params::Optimizer push_of(Slice s) { return {uint32_t(s.count)}; }

// ---- sgd ----

std::vector<TensorDesc> sgd_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  check_step(InputCheck("sgd", label, in), {"param", "grad", "velocity"});
  return {in[0], in[0]};
}

void sgd_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const HostTensor& hyper = in[3];
  const double rate = hyper[0], momentum = hyper[1], weight_decay = hyper[4];
  for (size_t i = 0; i < in[0].data.size(); ++i) {
    const double g = in[1][i] + weight_decay * in[0][i], velocity = momentum * in[2][i] + g;
    out[0][i] = in[0][i] - rate * (attrs.integer("nesterov", 0) ? g + momentum * velocity : velocity);
    out[1][i] = velocity;
  }
}

void sgd_lower(Lowering& l) { lower_flat(l, "sgd.f32", 3, {uint32_t(l.attrs().integer("nesterov", 0) != 0)}, push_of); }

std::vector<Case> sgd_cases() {
  const auto row = [](const Shape& s, bool nesterov, Numbers hyper) {
    return Case{.in = {f32(s), f32(s), f32(s), f32({kHyper})},
                .attrs = {{"nesterov", nesterov}},
                .fill = {Fill::real(), Fill::real(), Fill::real(), Fill::fixed(std::move(hyper))}};
  };
  return {row({1}, false, {0.1, 0.9, 0, 0, 1e-4, 0, 0, 0}),
          row({3, 3, 5, 7}, false, {0.01, 0.9, 0, 0, 0.01, 0, 0, 0}),
          row({3, 3, 4, 8}, true, {0.05, 0.8, 0, 0, 1e-3, 0, 0, 0}),
          row({1000}, false, {0.5, 0, 0, 0, 0, 0, 0, 0}),
          row({7, 5}, true, {0.1, 0.9, 0, 0, 0, 0, 0, 0}),
          row({33, 17}, false, {2, 3, 0, 0, 1, 0, 0, 0})};
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
  check_step(InputCheck("adam", label, in), {"param", "grad", "m", "v"});
  return {in[0], in[0], in[0]};
}

void adam_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const HostTensor& hyper = in[4];
  const double rate = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], weight_decay = hyper[4];
  const double bias1 = hyper[5], bias2 = hyper[6], rest2 = hyper[7] != 0 ? hyper[7] : 1 - beta2;
  const bool decoupled = attrs.integer("decoupled", 0) != 0, keras = keras_epsilon(attrs, "");
  for (size_t i = 0; i < in[0].data.size(); ++i) {
    double p = in[0][i], g = in[1][i];
    if (decoupled)
      p -= rate * weight_decay * p;
    else
      g += weight_decay * p;
    const double m = beta1 * in[2][i] + (1 - beta1) * g, v = beta2 * in[3][i] + rest2 * g * g;
    out[0][i] = p - (keras ? rate * bias1 / std::sqrt(bias2) * m / (std::sqrt(v) + eps)
                           : rate * bias1 * m / (std::sqrt(v * bias2) + eps));
    out[1][i] = m;
    out[2][i] = v;
  }
}

void adam_lower(Lowering& l) {
  const uint32_t decoupled = l.attrs().integer("decoupled", 0) != 0;
  lower_flat(l, "adam.f32", 4, {decoupled, uint32_t(keras_epsilon(l.attrs(), l.label()))}, push_of);
}

std::vector<Case> adam_cases() {
  const auto row = [](const Shape& s, bool decoupled, const char* epsilon, Numbers hyper) {
    return Case{.in = {f32(s), f32(s), f32(s), f32(s), f32({kHyper})},
                .attrs = {{"decoupled", decoupled}, {"epsilon", epsilon}},
                .fill = {Fill::real(), Fill::real(), Fill::real(), Fill::real(0, 1), Fill::fixed(std::move(hyper))}};
  };
  const Numbers first{1e-3, 0.9, 0.999, 1e-8, 0, 1 / (1 - 0.9), 1 / (1 - 0.999), 1 - 0.999};
  const Numbers tenth{1e-2, 0.9, 0.99, 1e-7, 0.01, 1 / (1 - 0.34867844010000004), 1 / (1 - 0.9043820750088043), 0};
  const Numbers large{1, 0.5, 0.75, 0.125, 0.5, 2, 4, 0};
  return {row({1}, false, "torch", first),         row({3, 3, 5, 7}, false, "torch", tenth),
          row({3, 3, 4, 8}, true, "torch", tenth), row({1000}, false, "keras", first),
          row({7, 5}, true, "keras", large),       row({33, 17}, true, "torch", large),
          row({6, 6}, false, "torch", large)};
}

}  // namespace

const OpDef sgd{.name = "sgd",
                .shape = sgd_shape,
                .reference = sgd_reference,
                .lower = sgd_lower,
                .cost = elementwise_cost<6>,
                .cases = sgd_cases,
                .in_place = {{0, 0}, {1, 2}},
                .exact_on_integers = true,
                .error = 1e-6};

const OpDef adam{.name = "adam",
                 .shape = adam_shape,
                 .reference = adam_reference,
                 .lower = adam_lower,
                 .cost = elementwise_cost<14>,
                 .cases = adam_cases,
                 .in_place = {{0, 0}, {1, 2}, {2, 3}},
                 .error = 2e-6};

}  // namespace vkfer::ops
