// Running sums of what regression is off by: an epoch's mean squared error without a number going to the host.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/loss.h"

namespace vkfer::ops {

namespace {

std::vector<TensorDesc> shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("squared_error_sums", label, in);
  check.count(4);
  check.masked_comparison();
  check.dtype(3, "old", DType::f32), check.shape(3, "old", Shape{2});
  return {in[3]};
}

bool finite_only(const Attrs& attrs) { return attrs.integer("finite", 0) != 0; }

void reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  out[0].data = in[3].data;
  for (size_t i = 0; i < in[0].data.size(); ++i) {
    const double difference = in[0][i] - in[1][i];
    if (finite_only(attrs) && !std::isfinite(difference)) continue;
    out[0][0] += in[2][i], out[0][1] += in[2][i] * difference * difference;
  }
}

void lower(Lowering& l) {
  l.dispatch("squared_error_sums.f32", {tree_workgroup(l), finite_only(l.attrs())}, {l.in(0), l.in(1), l.in(2), l.in(3), l.out(0)},
             params::Mse{uint32_t(l.in_desc(0).elements())}, {1, 1, 1});
}

std::vector<Case> cases() {
  const auto row = [](Shape s, Fill prediction = Fill::real(), bool finite = false) {
    return Case{.in = {f32(s), f32(s), f32(s), f32({2})},
                .attrs = {{"finite", finite}},
                .fill = {prediction, Fill::real(), Fill::fixed({1, 0, 1, 1, 0}), Fill::fixed({17, 2.5})}};
  };
  return {row({1, 1}), row({32, 1}), row({5, 1}), row({301, 2}), row({9, 1}, Fill::fixed({1, NAN, INFINITY, 0.5}), true)};
}

}  // namespace

const OpDef squared_error_sums{.name = "squared_error_sums",
                               .shape = shape,
                               .reference = reference,
                               .lower = lower,
                               .cases = cases,
                               .in_place = {{0, 3}},
                               .error = 1e-6};

}  // namespace vkfer::ops
