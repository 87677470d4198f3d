// What a classifier's metrics need of every batch, summed on the device: confusion matrix, labelled rows, sum of row losses.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/loss.h"

namespace vkfer::ops {

namespace {

std::vector<TensorDesc> shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("classification_sums", label, in);
  check.count(4);
  check.dtype(0, "probabilities", DType::f32);
  check.rank(0, "probabilities", 2);
  check.not_empty(0, "probabilities");
  const int64_t rows = in[0].shape[0], classes = in[0].shape[1];
  check.dtype(1, "labels", DType::i32);
  check.shape(1, "labels", Shape{rows});
  check.dtype(2, "row_loss", DType::f32);
  check.shape(2, "row_loss", Shape{rows});
  check.dtype(3, "old", DType::f32);
  check.shape(3, "old", Shape{classes * classes + 2});
  return {in[3]};
}

void reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t rows = size_t(in[0].shape[0]), classes = size_t(in[0].shape[1]);
  out[0].data = in[3].data;
  for (size_t row = 0; row < rows; ++row) {
    if (in[1][row] < 0 || in[1][row] >= double(classes)) continue;
    if (attrs.integer("finite", 0) && !std::isfinite(in[2][row])) continue;
    const auto first = in[0].data.begin() + std::ptrdiff_t(row * classes);
    const size_t predicted =
        size_t(std::max_element(first, first + std::ptrdiff_t(classes)) - first);  // the first of equals
    out[0][size_t(in[1][row]) * classes + predicted] += 1;
    out[0][classes * classes] += 1;
    out[0][classes * classes + 1] += in[2][row];
  }
}

void lower(Lowering& l) {
  const int64_t rows = l.in_desc(0).shape[0];
  const params::Rows push{uint32_t(rows), uint32_t(l.in_desc(0).shape[1])};
  const Binding cell = l.workspace(size_t(rows) * sizeof(uint32_t));
  l.dispatch("row_argmax.f32", {l.target.workgroup}, {l.in(0), l.in(1), cell}, push, groups_for_single(l, rows));
  l.dispatch("classification_sums.f32", {l.target.workgroup, uint32_t(l.attrs().integer("finite", 0) != 0)}, {cell, l.in(2), l.in(3), l.out(0)}, push,
             groups_for_single(l, l.out_desc(0).elements()));
}

std::vector<Case> cases() {
  const auto row = [](int64_t n, int64_t k, Numbers labels) {
    return Case{.in = {f32({n, k}), i32({n}), f32({n}), f32({k * k + 2})},
                .fill = {Fill::real(0, 1), Fill::fixed(std::move(labels)), Fill::real(0, 4), Fill::real(0, 9)}};
  };
  Case finite = row(9, 7, {3, 0, 6, -1, 2, 2});
  finite.attrs.set("finite", 1);
  finite.fill[2] = Fill::fixed({1, INFINITY, 2, 3, NAN, 4, -INFINITY});
  return {row(1, 1, {0}), row(9, 7, {3, 0, 6, -1, 2, 2}), row(5, 3, {-1}), row(130, 5, {0, 4, 1, 7, 3, 2, -100}), finite};
}

}  // namespace

const OpDef classification_sums{.name = "classification_sums",
                                .shape = shape,
                                .reference = reference,
                                .lower = lower,
                                .cases = cases,
                                .in_place = {{0, 3}},
                                .exact_on_integers = true,
                                .error = 2e-6};

}  // namespace vkfer::ops
