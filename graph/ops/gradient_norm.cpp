// The norm of all gradients together, and what keeps it below a limit (Pascanu et al., On the Difficulty of Training Recurrent Neural
// Networks, 2013; torch.nn.utils.clip_grad_norm_), on the device.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/pack.h"
#include "graph/ops/util.h"
#include "shaders/params/gradient_norm.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kMostTurns = 60000;  // of an invocation's loop: lavapipe ends them at 65,535

// ---- sum_squares ----

std::vector<TensorDesc> sum_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("sum_squares", label, in);
  const size_t n = check_packed(check, attrs, in, {"x"}, 0, 1);
  if (in.size() > n) check.dtype(n, "earlier", DType::f32), check.shape(n, "earlier", Shape{1});
  return {f32({1})};
}

void sum_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = size_t(attrs.integer("tensors", 1));
  if (in.size() > n) out[0][0] = in[n][0];
  for (size_t t = 0; t < n; ++t)
    for (double x : in[t].data) out[0][0] += x * x;
}

void sum_lower(Lowering& l) {
  const int n = l.tensors();
  const bool earlier = l.inputs() > n;
  const std::vector<PackLaunch> launches = pack_launches(l);
  uint32_t parts = 0;
  for (const PackLaunch& launch : launches) parts += launch.groups;
  const uint32_t workgroup = tree_workgroup(l);
  if (divide_round_up(parts, workgroup) > kMostTurns) fail("plan", "'{}': {} parts are more than a workgroup adds up. Fix: a smaller network", l.label(), parts);
  const Binding partial = l.workspace(size_t(parts) * 4);
  uint32_t first = 0;
  for (const PackLaunch& launch : launches) {
    l.dispatch("sum_squares.f32", {l.target.workgroup, l.target.vectors_per_invocation, launch.ragged},
               {l.in_pack(0, launch.offset, launch.bytes), l.table(std::as_bytes(std::span(launch.ranges))), partial},
               params::SumSquares{uint32_t(launch.ranges.size()), launch.groups, first}, l.linear_groups(launch.groups));
    first += launch.groups;
  }
  l.dispatch("sum_squares_finish.f32", {workgroup, earlier}, {partial, earlier ? l.in(n) : partial, l.out(0)}, params::SumSquares{0, parts, 0}, {1, 1, 1});
}

std::vector<Case> sum_cases() {
  const auto row = [](const std::vector<Shape>& tensors, Numbers earlier = {}) {
    Case c;
    if (tensors.size() > 1) c.attrs.set("tensors", int64_t(tensors.size()));
    for (const Shape& s : tensors) c.in.push_back(f32(s)), c.fill.push_back(Fill::real());
    if (!earlier.empty()) c.in.push_back(f32({1})), c.fill.push_back(Fill::fixed(earlier));
    return c;
  };
  return {row({{1}}), row({{1000}}), row({{3, 5}}), row({{8}, {3}, {700}, {7}}), row({{64}, {33, 17}}, {2.5}), row({{40000}, {5}}, {100})};
}

// ---- clip_scale ----

std::vector<TensorDesc> clip_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("clip_scale", label, in);
  check.count(2);
  for (size_t i = 0; i < 2; ++i) check.dtype(i, "sum, scale", DType::f32), check.shape(i, "sum, scale", Shape{1});
  const double most = attrs.number("max_norm");
  check.require(most > 0, "got max_norm={}, expected above 0. Fix: correct the attribute.", most);
  return {f32({1})};
}

void clip_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const double scale = in[1][0], norm = std::sqrt(in[0][0]) / scale;
  out[0][0] = scale / std::min(1.0, attrs.number("max_norm") / (norm + 1e-6));
}

void clip_lower(Lowering& l) {
  l.dispatch("clip_scale.f32", {1}, {l.in(0), l.in(1), l.out(0)}, params::ClipScale{float(l.attrs().number("max_norm"))}, {1, 1, 1});
}

std::vector<Case> clip_cases() {
  const auto row = [](double sum, double scale, double most) {
    return Case{.in = {f32({1}), f32({1})}, .attrs = {{"max_norm", most}}, .fill = {Fill::fixed({sum}), Fill::fixed({scale})}};
  };
  return {row(100, 1, 1), row(0.25, 1, 1), row(0, 1, 1), row(1e10, 1024, 5), row(1e6, 65536, 0.5)};
}

}  // namespace

const OpDef sum_squares{.name = "sum_squares",
                        .shape = sum_shape,
                        .reference = sum_reference,
                        .lower = sum_lower,
                        .cost = packed_cost<2>,
                        .cases = sum_cases,
                        .packed_inputs = 1,
                        .error = 1e-6};

const OpDef clip_scale{.name = "clip_scale", .shape = clip_shape, .reference = clip_reference, .lower = clip_lower, .cases = clip_cases, .error = 1e-6};

}  // namespace vkfer::ops
