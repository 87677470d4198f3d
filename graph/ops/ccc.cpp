// The loss of Lin's concordance correlation coefficient (A Concordance Correlation Coefficient to Evaluate Reproducibility, 1989) over
// the entries that a mask keeps, as studies of valence and arousal train with. With weights m, their sum N, and moments divided by N:
//
//   ccc  = 2 cov(x, y) / D      D = var(x) + var(y) + (mean(x) - mean(y))^2
//   loss = 1 - ccc              where D is 0 (nothing known, or all of it equal and right): 0
#include <numeric>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/loss.h"

namespace vkfer::ops {

namespace {

std::vector<TensorDesc> ccc_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("ccc_loss", label, in);
  check.count(3);
  check.masked_comparison();
  return {{Shape{1}}};
}

std::vector<TensorDesc> grad_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("ccc_loss_grad", label, in);
  check.count(4);
  check.masked_comparison();
  check.shape(3, "dloss", Shape{1});
  return {in[0]};
}

struct Moments {
  double n = 0, mean_x = 0, mean_y = 0, var_x = 0, var_y = 0, cov = 0;
  double denominator() const { return var_x + var_y + (mean_x - mean_y) * (mean_x - mean_y); }
};

Moments moments(const HostTensor& x, const HostTensor& y, const HostTensor& mask) {
  Moments m;
  for (size_t i = 0; i < x.data.size(); ++i) m.n += mask[i], m.mean_x += mask[i] * x[i], m.mean_y += mask[i] * y[i];
  if (m.n <= 0) return {};
  m.mean_x /= m.n, m.mean_y /= m.n;
  for (size_t i = 0; i < x.data.size(); ++i) {
    const double dx = x[i] - m.mean_x, dy = y[i] - m.mean_y;
    m.var_x += mask[i] * dx * dx / m.n, m.var_y += mask[i] * dy * dy / m.n, m.cov += mask[i] * dx * dy / m.n;
  }
  return m;
}

void ccc_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Moments m = moments(in[0], in[1], in[2]);
  out[0][0] = m.denominator() > 0 ? 1 - 2 * m.cov / m.denominator() : 0;
}

void grad_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Moments m = moments(in[0], in[1], in[2]);
  const double d = m.denominator();
  if (!(d > 0)) return;
  for (size_t i = 0; i < in[0].data.size(); ++i) {
    const double dcov = in[2][i] * (in[1][i] - m.mean_y) / m.n, dd = 2 * in[2][i] * (in[0][i] - m.mean_y) / m.n;   // (x - mean_x) + (mean_x - mean_y)
    out[0][i] = -in[3][0] * 2 * (dcov - m.cov / d * dd) / d;
  }
}

void grad(Gradient& g) {
  if (g.wants(1) || g.wants(2)) fail("ccc_loss", "target and mask have no gradient. Fix: feed them as inputs.");
  if (g.wants(0)) g.set(0, g.add(ccc_loss_grad, {}, {g.in(0), g.in(1), g.in(2), g.grad()}, "grad")[0]);
}

params::Mse push_of(const Lowering& l) { return {uint32_t(l.in_desc(0).elements())}; }

void ccc_lower(Lowering& l) {
  const Binding unused = l.workspace(4 * sizeof(float));
  l.dispatch("ccc_loss.f32", {tree_workgroup(l)}, {l.in(0), l.in(1), l.in(2), l.out(0), unused}, push_of(l), {1, 1, 1});
}

void grad_lower(Lowering& l) {
  const Binding loss = l.workspace(sizeof(float)), slopes = l.workspace(4 * sizeof(float));
  l.dispatch("ccc_loss.f32", {tree_workgroup(l)}, {l.in(0), l.in(1), l.in(2), loss, slopes}, push_of(l), {1, 1, 1});
  l.dispatch("ccc_loss_grad.f32", {l.target.workgroup}, {l.in(0), l.in(1), l.in(2), l.in(3), slopes, l.out(0)}, push_of(l),
             groups_for_single(l, l.in_desc(0).elements()));
}

std::vector<Case> cases() {
  const auto row = [](int64_t n, Numbers mask) {
    return Case{.in = {f32({n, 1}), f32({n, 1}), f32({n, 1})},
                .fill = {Fill::real(-2, 2), Fill::fixed({0.5, -1.25, 0.125, 1, -0.75}), Fill::fixed(std::move(mask))}};
  };
  return {row(2, {1}), row(5, {1, 1, 0, 0, 1}), row(3, {0}), row(7, {0, 0, 1, 0, 0, 0, 0}), row(33, {1}), row(300, {1, 0, 1})};
}

}  // namespace

const OpDef ccc_loss{
    .name = "ccc_loss", .shape = ccc_shape, .reference = ccc_reference, .grad = grad, .lower = ccc_lower, .cases = cases, .mixes_images = true, .error = 2e-5};

const OpDef ccc_loss_grad{.name = "ccc_loss_grad", .shape = grad_shape, .reference = grad_reference, .lower = grad_lower, .mixes_images = true, .error = 2e-5};

}  // namespace vkfer::ops
