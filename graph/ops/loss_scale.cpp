// Dynamic loss scaling on the device (Micikevicius et al., Mixed Precision Training, 2018; torch.cuda.amp.GradScaler): the
// optimizers read the scale and the flag, and no number goes to the host and back.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/pack.h"
#include "graph/ops/util.h"
#include "shaders/params/loss_scale.h"

namespace vkfer::ops {

namespace {

// ---- nonfinite ----

std::vector<TensorDesc> nonfinite_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("nonfinite", label, in);
  const size_t n = check_packed(check, attrs, in, {"x"}, 0, 1);
  if (in.size() > n) check.dtype(n, "earlier", DType::f32), check.shape(n, "earlier", Shape{1});
  return {f32({1})};
}

void nonfinite_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = size_t(attrs.integer("tensors", 1));
  bool found = in.size() > n && in[n][0] != 0;
  for (size_t t = 0; t < n; ++t)
    for (double x : in[t].data) found = found || !std::isfinite(x);
  out[0][0] = found;
}

void nonfinite_lower(Lowering& l) {
  const int n = l.tensors();
  const bool earlier = l.inputs() > n;
  l.result.dispatches.push_back({"nonfinite_begin.f32", {1, earlier}, {l.in(earlier ? n : 0), l.out(0)}, {}, {1, 1, 1}});
  for (const PackLaunch& launch : pack_launches(l))
    l.dispatch("nonfinite.f32", {l.target.workgroup, l.target.vectors_per_invocation, launch.ragged},
               {l.in_pack(0, launch.offset, launch.bytes), l.table(std::as_bytes(std::span(launch.ranges))), l.out(0)},
               params::Pack{uint32_t(launch.ranges.size()), launch.groups}, l.linear_groups(launch.groups));
}

std::vector<Case> nonfinite_cases() {
  constexpr double inf = INFINITY, largest = 3.4028234663852886e38;
  const auto row = [](const std::vector<Shape>& tensors, const std::vector<Numbers>& values, Numbers earlier = {}) {
    Case c;
    if (tensors.size() > 1) c.attrs.set("tensors", int64_t(tensors.size()));
    for (size_t t = 0; t < tensors.size(); ++t) {
      c.in.push_back(f32(tensors[t]));
      c.fill.push_back(values[t].empty() ? Fill::real() : Fill::fixed(values[t]));
    }
    if (!earlier.empty()) c.in.push_back(f32({1})), c.fill.push_back(Fill::fixed(earlier));
    return c;
  };
  // A lone one at the end of 700 elements, in the tail that is no whole vec4, in the last of many tensors.
  Numbers at_end(701, largest);
  at_end[700] = -inf;
  return {row({{1000}}, {{}}),
          row({{3, 5}}, {{1, 2, -largest}}),
          row({{1}}, {{NAN}}),
          row({{701}}, {at_end}),
          row({{8}, {3}, {700}, {7}}, {{}, {}, {}, {1, 1, 1, 1, 1, 1, inf}}),
          row({{8}, {3}, {700}, {7}}, {{}, {0}, {}, {}}),
          row({{8}, {3}}, {{1}, {2}}, {0}),
          row({{8}, {3}}, {{1}, {2}}, {1}),
          row({{8}, {3}}, {{1, NAN}, {2}}, {0})};
}

// ---- loss_scale_update ----

std::vector<TensorDesc> update_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("loss_scale_update", label, in);
  check.count(3);
  const int64_t elements[] = {1, 2, 1};
  for (size_t i = 0; i < 3; ++i) check.dtype(i, "scale, counts, nonfinite", DType::f32), check.shape(i, "scale, counts, nonfinite", Shape{elements[i]});
  const double interval = attrs.number("interval", 2000);
  check.require(interval >= 1, "got interval={}, expected 1 or more. Fix: correct the attribute.", interval);
  return {in[0], in[1]};
}

params::LossScale update_push(const Attrs& attrs) {
  return {float(attrs.number("growth", 2)), float(attrs.number("backoff", 0.5)), float(attrs.number("interval", 2000))};
}

void update_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const params::LossScale p = update_push(attrs);
  const double scale = in[0][0], good = in[1][0] + 1, skipped = in[1][1], largest = 3.4028234663852886e38;
  if (in[2][0] != 0) {
    out[0][0] = scale * p.backoff;
    out[1].data = {0, skipped + 1};
    return;
  }
  const bool grows = good >= p.interval;
  out[0][0] = grows && scale * p.growth <= largest ? scale * p.growth : scale;
  out[1].data = {grows ? 0 : good, skipped};
}

void update_lower(Lowering& l) {
  l.dispatch("loss_scale_update.f32", {1}, {l.in(0), l.in(1), l.in(2), l.out(0), l.out(1)}, update_push(l.attrs()), {1, 1, 1});
}

std::vector<Case> update_cases() {
  const auto row = [](double scale, Numbers counts, double nonfinite, Attrs attrs = {}) {
    return Case{.in = {f32({1}), f32({2}), f32({1})},
                .attrs = std::move(attrs),
                .fill = {Fill::fixed({scale}), Fill::fixed(std::move(counts)), Fill::fixed({nonfinite})}};
  };
  return {row(65536, {0, 0}, 0),       row(65536, {1998, 3}, 0), row(65536, {1999, 3}, 0), row(65536, {1999, 3}, 1),
          row(4, {2, 7}, 0, {{"interval", 3}, {"growth", 4}}),   row(4, {1, 7}, 1, {{"backoff", 0.25}}),
          row(0x1p127, {1999, 0}, 0)};
}

}  // namespace

const OpDef nonfinite{.name = "nonfinite",
                      .shape = nonfinite_shape,
                      .reference = nonfinite_reference,
                      .lower = nonfinite_lower,
                      .cost = packed_cost<1>,
                      .cases = nonfinite_cases,
                      .packed_inputs = 1,
                      .error = 0};

const OpDef loss_scale_update{.name = "loss_scale_update",
                              .shape = update_shape,
                              .reference = update_reference,
                              .lower = update_lower,
                              .cases = update_cases,
                              .in_place = {{0, 0}, {1, 1}},
                              .error = 0};

}  // namespace vkfer::ops
