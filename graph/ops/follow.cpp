// What follows tensors over many runs, many of them in one launch: sums of gradients over micro-batches, and exponential moving
// averages of parameters (Polyak and Juditsky, 1992; as timm's ModelEma).
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/pack.h"
#include "graph/ops/util.h"

namespace vkfer::ops {

namespace {

// (kept x n, x x n, number [1]) -> kept x n
template <OpName kOp>
std::vector<TensorDesc> follow_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check(kOp.text, label, in);
  const size_t n = check_packed(check, attrs, in, {"kept", "x"}, 1, 1);
  check.dtype(2 * n, "number", DType::f32), check.shape(2 * n, "number", Shape{1});
  return {in.begin(), in.begin() + ptrdiff_t(n)};
}

template <OpName kModule>
void follow_lower(Lowering& l) {
  const int n = l.tensors();
  for (int t = 0; t < n; ++t) copy_unless_updated(l, t, t);
  for (const PackLaunch& launch : pack_launches(l))
    l.dispatch(kModule.text, {l.target.workgroup, l.target.vectors_per_invocation, launch.ragged},
               {l.in_pack(1, launch.offset, launch.bytes), l.out_pack(0, launch.offset, launch.bytes), l.in(2 * n),
                l.table(std::as_bytes(std::span(launch.ranges)))},
               params::Pack{uint32_t(launch.ranges.size()), launch.groups}, l.linear_groups(launch.groups));
}

const std::vector<Shape> kManyTensors{{8}, {3}, {700}, {33, 17}};

Case row(const std::vector<Shape>& tensors, const Fill& kept, double number) {
  Case c;
  if (tensors.size() > 1) c.attrs.set("tensors", int64_t(tensors.size()));
  for (const Shape& s : tensors) c.in.push_back(f32(s)), c.fill.push_back(kept);
  for (const Shape& s : tensors) c.in.push_back(f32(s)), c.fill.push_back(Fill::real());
  c.in.push_back(f32({1})), c.fill.push_back(Fill::fixed({number}));
  return c;
}

// ---- accumulate ----

void accumulate_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = out.size();
  const bool first = in[2 * n][0] != 0;
  for (size_t t = 0; t < n; ++t)
    for (size_t i = 0; i < out[t].data.size(); ++i) out[t][i] = (first ? 0 : in[t][i]) + in[n + t][i];
}

std::vector<Case> accumulate_cases() {
  // What a first one finds is not looked at: it may be no number at all.
  const Fill garbage = Fill::fixed({NAN, 1, INFINITY});
  return {row({{1}}, Fill::real(), 0), row({{3, 3, 4, 8}}, garbage, 1), row({{701}}, Fill::real(), 0), row(kManyTensors, garbage, 1),
          row(kManyTensors, Fill::real(), 0)};
}

// ---- ema ----

void ema_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = out.size();
  const double decay = in[2 * n][0];
  for (size_t t = 0; t < n; ++t)
    for (size_t i = 0; i < out[t].data.size(); ++i) out[t][i] = decay * in[t][i] + (1 - decay) * in[n + t][i];
}

std::vector<Case> ema_cases() {
  return {row({{1}}, Fill::real(), 0.75), row({{3, 3, 4, 8}}, Fill::real(), 0.999), row({{701}}, Fill::real(), 0), row(kManyTensors, Fill::real(), 0.5)};
}

}  // namespace

const OpDef accumulate{.name = "accumulate",
                       .shape = follow_shape<"accumulate">,
                       .reference = accumulate_reference,
                       .lower = follow_lower<"accumulate.f32">,
                       .cost = packed_cost<1>,
                       .cases = accumulate_cases,
                       .in_place = {{0, 0}},
                       .packed_inputs = 2,
                       .packed_outputs = 1,
                       .exact_on_integers = true,
                       .error = 1e-7};

const OpDef ema{.name = "ema",
                .shape = follow_shape<"ema">,
                .reference = ema_reference,
                .lower = follow_lower<"ema.f32">,
                .cost = packed_cost<3>,
                .cases = ema_cases,
                .in_place = {{0, 0}},
                .packed_inputs = 2,
                .packed_outputs = 1,
                .error = 1e-6};

}  // namespace vkfer::ops
