// The direct engine: plain loops on the device, one output an invocation. Slow, obvious, and the oracle of the other engines.
#include "graph/ops/conv_geometry.h"
#include "graph/ops/util.h"
#include "shaders/params/conv.h"

namespace vkfer::ops {
namespace {

params::ConvDirect direct_params(const ConvGeometry& g, int64_t images, int64_t count) {
  return {uint32_t(images),  uint32_t(g.in_h),     uint32_t(g.in_w),     uint32_t(g.in_c),  uint32_t(g.out_h),
          uint32_t(g.out_w), uint32_t(g.out_c),    uint32_t(g.filter_h), uint32_t(g.filter_w), int(g.stride_y),
          int(g.stride_x),   int(g.pad_y),         int(g.pad_x),         int(g.dilation_y), int(g.dilation_x),
          uint32_t(g.groups), uint32_t(count),     0, 0};
}

}  // namespace

void lower_conv_direct(Lowering& l, const ConvGeometry& g, const Epilogue& e) {
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)})) {
    const int64_t count = s.count * g.out_h * g.out_w * g.out_c;
    // A binding that the epilogue does not use still needs some range.
    const Binding bias = e.bias ? l.in(e.bias_input()) : l.in(1);
    const Binding residual = e.residual ? l.in(e.residual_input(), s) : l.in(1);
    l.dispatch(l.module("conv_direct", l.in_desc(0).dtype), {l.target.workgroup, e.bias, e.residual, e.activation},
               {l.in(0, s), l.in(1), l.out(0, s), bias, residual}, direct_params(g, s.count, count), groups_for_single(l, count));
  }
}

void lower_conv_direct_grad_input(Lowering& l, const ConvGeometry& g) {
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)})) {
    const int64_t count = s.count * g.in_h * g.in_w * g.in_c;
    l.dispatch(l.module("conv_direct_grad_input", l.in_desc(0).dtype), {l.target.workgroup}, {l.in(0, s), l.in(1), l.out(0, s)},
               direct_params(g, s.count, count), groups_for_single(l, count));
  }
}

void lower_conv_direct_grad_filter(Lowering& l, const ConvGeometry& g) {
  constexpr int64_t kMostSummed = 4096;  // output pixels of a slice, when a line has no more
  const int64_t count = l.out_desc(0).elements(), slice_lines = std::max<int64_t>(1, kMostSummed / g.out_w);
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0), l.in_desc(1)});
  int64_t total = 0;
  for (Slice s : batches) total += divide_round_up(s.count * g.out_h, slice_lines);
  const Binding partial = total > 1 ? l.workspace(size_t(count * total) * 4) : l.out(0);
  int64_t first = 0;
  for (Slice s : batches) {
    const int64_t slices = divide_round_up(s.count * g.out_h, slice_lines);
    params::ConvDirect p = direct_params(g, s.count, count * slices);
    p.slice_lines = uint32_t(slice_lines), p.first_slice = uint32_t(first);
    l.dispatch(l.module("conv_direct_grad_filter", l.in_desc(0).dtype), {l.target.workgroup}, {l.in(0, s), l.in(1, s), partial}, p,
               groups_for_single(l, p.count));
    first += slices;
  }
  if (total > 1) sum_slices(l, partial, l.out(0), count, total);
}

}  // namespace vkfer::ops
