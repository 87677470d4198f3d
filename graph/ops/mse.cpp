// Mean squared error over the entries that a mask keeps: regression of valence and arousal where some faces lack them.
#include <numeric>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/loss.h"

namespace vkfer::ops {

namespace {

std::vector<TensorDesc> mse_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("mse", label, in);
  check.count(3);
  check.masked_comparison();
  return {{Shape{1}}};
}

std::vector<TensorDesc> grad_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("mse_grad", label, in);
  check.count(4);
  check.masked_comparison();
  check.shape(3, "dloss", Shape{1});
  return {in[0]};
}

double count(const HostTensor& mask) {
  const double sum = std::accumulate(mask.data.begin(), mask.data.end(), 0.0);
  return sum > 0 ? sum : 1;
}

void mse_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for (size_t i = 0; i < in[0].data.size(); ++i) out[0][0] += in[2][i] * (in[0][i] - in[1][i]) * (in[0][i] - in[1][i]);
  out[0][0] /= count(in[2]);
}

void grad_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for (size_t i = 0; i < in[0].data.size(); ++i)
    out[0][i] = in[3][0] * 2 * in[2][i] * (in[0][i] - in[1][i]) / count(in[2]);
}

void grad(Gradient& g) {
  if (g.wants(1) || g.wants(2)) fail("mse", "target and mask have no gradient. Fix: feed them as inputs.");
  if (g.wants(0)) g.set(0, g.add(mse_grad, {}, {g.in(0), g.in(1), g.in(2), g.grad()}, "grad")[0]);
}

params::Mse push_of(const Lowering& l) { return {uint32_t(l.in_desc(0).elements())}; }

void mse_lower(Lowering& l) {
  l.dispatch("mse.f32", {tree_workgroup(l), 0}, {l.in(0), l.in(1), l.in(2), l.out(0)}, push_of(l), {1, 1, 1});
}

void grad_lower(Lowering& l) {
  const Binding inverse_count = l.workspace(sizeof(float));
  l.dispatch("mse.f32", {tree_workgroup(l), 1}, {l.in(0), l.in(1), l.in(2), inverse_count}, push_of(l), {1, 1, 1});
  l.dispatch("mse_grad.f32", {l.target.workgroup}, {l.in(0), l.in(1), l.in(2), l.in(3), inverse_count, l.out(0)},
             push_of(l), groups_for_single(l, l.in_desc(0).elements()));
}

std::vector<Case> cases() {
  const auto row = [](int64_t n, int64_t k, Numbers mask) {
    return Case{.in = {f32({n, k}), f32({n, k}), f32({n, k})},
                .fill = {Fill::real(-2, 2), Fill::fixed({0.5, -1.25, 0.125, 1, -0.75}), Fill::fixed(std::move(mask))}};
  };
  return {row(1, 1, {1}), row(5, 2, {1, 1, 0, 0, 1, 1}), row(3, 3, {0}), row(4, 1, {0.25, 0, 0.5}),
          row(130, 7, {1, 0, 1})};
}

}  // namespace

const OpDef mse{.name = "mse",
                .shape = mse_shape,
                .reference = mse_reference,
                .grad = grad,
                .lower = mse_lower,
                .cases = cases,
                .error = 2e-6};

const OpDef mse_grad{
    .name = "mse_grad", .shape = grad_shape, .reference = grad_reference, .lower = grad_lower, .error = 2e-6};

}  // namespace vkfer::ops
