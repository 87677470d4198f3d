// Sums of gradients over micro-batches, many tensors in one launch.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/pack.h"
#include "graph/ops/util.h"

namespace vkfer::ops {

namespace {

std::vector<TensorDesc> shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("accumulate", label, in);
  const size_t n = check_packed(check, attrs, in, {"sum", "x"}, 1, 1);
  check.dtype(2 * n, "first", DType::f32), check.shape(2 * n, "first", Shape{1});
  return {in.begin(), in.begin() + ptrdiff_t(n)};
}

void reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = out.size();
  const bool first = in[2 * n][0] != 0;
  for (size_t t = 0; t < n; ++t)
    for (size_t i = 0; i < out[t].data.size(); ++i) out[t][i] = (first ? 0 : in[t][i]) + in[n + t][i];
}

void lower(Lowering& l) {
  const int n = l.tensors();
  for (int t = 0; t < n; ++t) copy_unless_updated(l, t, t);
  for (const PackLaunch& launch : pack_launches(l))
    l.dispatch("accumulate.f32", {l.target.workgroup, l.target.vectors_per_invocation, launch.ragged},
               {l.in_pack(1, launch.offset, launch.bytes), l.out_pack(0, launch.offset, launch.bytes), l.in(2 * n),
                l.table(std::as_bytes(std::span(launch.ranges)))},
               params::Pack{uint32_t(launch.ranges.size()), launch.groups}, l.linear_groups(launch.groups));
}

std::vector<Case> cases() {
  const auto row = [](const std::vector<Shape>& tensors, double first) {
    Case c;
    if (tensors.size() > 1) c.attrs.set("tensors", int64_t(tensors.size()));
    // What a first one finds is not looked at: it may be no number at all.
    for (const Shape& s : tensors) c.in.push_back(f32(s)), c.fill.push_back(first != 0 ? Fill::fixed({NAN, 1, INFINITY}) : Fill::real());
    for (const Shape& s : tensors) c.in.push_back(f32(s)), c.fill.push_back(Fill::real());
    c.in.push_back(f32({1})), c.fill.push_back(Fill::fixed({first}));
    return c;
  };
  return {row({{1}}, 0), row({{3, 3, 4, 8}}, 1), row({{701}}, 0), row({{8}, {3}, {700}, {33, 17}}, 1), row({{8}, {3}, {700}, {33, 17}}, 0)};
}

}  // namespace

const OpDef accumulate{.name = "accumulate",
                       .shape = shape,
                       .reference = reference,
                       .lower = lower,
                       .cost = packed_cost<1>,
                       .cases = cases,
                       .in_place = {{0, 0}},
                       .packed_inputs = 2,
                       .packed_outputs = 1,
                       .exact_on_integers = true,
                       .error = 1e-7};

}  // namespace vkfer::ops
