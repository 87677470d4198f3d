// Depthwise convolution's own kernels (shaders/depthwise.comp, depthwise_grad_filter.comp) under the ops of conv.cpp.
#include <numeric>

#include "graph/ops/conv_geometry.h"
#include "graph/ops/util.h"
#include "shaders/params/conv.h"

namespace vkfer::ops {
namespace {

constexpr int64_t kTileY = 2, kTileX = 4;  // outputs of an invocation; both multiples of the largest stride
constexpr int64_t kMostSummed = 2048;      // output pixels one slice of a filter gradient adds up

struct DepthwiseBindings {
  Binding a, filter, b, bias, residual;
};

// How many tiles an invocation does in turn: a CPU driver gets long workgroups, yet enough of them for every core.
uint32_t items_of(const Lowering& l, int64_t count) {
  const int64_t fair = count / (int64_t(l.target.workgroup) * l.target.parallel_groups * 4);
  return uint32_t(std::clamp<int64_t>(fair, 1, l.target.vectors_per_invocation));
}
std::array<uint32_t, 3> item_groups(const Lowering& l, int64_t count) {
  return l.linear_groups(uint64_t(divide_round_up(count, int64_t(l.target.workgroup) * items_of(l, count))));
}

void dispatch_tiles(Lowering& l, const ConvGeometry& g, params::Depthwise p, bool gradient, const Epilogue& e, const DepthwiseBindings& b) {
  // A tile smaller than the map wastes nothing on the 2x2 maps at a network's end.
  const int64_t tile_y = std::min<int64_t>(kTileY, divide_round_up(p.b_h, 2) * 2), tile_x = p.b_w <= 2 ? 2 : kTileX;
  p.c = uint32_t(g.out_c);
  p.pad_y = int(g.pad_y), p.pad_x = int(g.pad_x);
  p.tiles_y = uint32_t(divide_round_up(p.b_h, tile_y));
  p.tiles_x = uint32_t(divide_round_up(p.b_w, tile_x));
  p.count = uint32_t(int64_t(p.n) * p.tiles_y * p.tiles_x * divide_round_up(g.out_c, 4));
  std::vector<uint32_t> constants{l.target.workgroup, uint32_t(g.filter_h), uint32_t(g.filter_w), uint32_t(g.stride_y), uint32_t(tile_y),
                                  uint32_t(tile_x), gradient, uint32_t(g.pad_y), uint32_t(g.pad_x), e.bias, e.residual, e.activation, items_of(l, p.count)};
  l.dispatch(l.channel_module("depthwise", l.in_desc(0).dtype, {g.out_c}, true), constants, {b.a, b.filter, b.b, b.bias, b.residual}, p,
             item_groups(l, p.count));
}

}  // namespace

bool depthwise_kernel_fits(const ConvGeometry& g) {
  return g.depthwise() && g.filter_h <= 7 && g.filter_w <= 7 && g.stride_y == g.stride_x && g.stride_y <= 2 && g.dilation_y == 1 && g.dilation_x == 1;
}

void lower_depthwise(Lowering& l, const ConvGeometry& g, const Epilogue& e) {
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)})) {
    params::Depthwise p{};
    p.n = uint32_t(s.count);
    p.a_h = uint32_t(g.in_h), p.a_w = uint32_t(g.in_w), p.b_h = uint32_t(g.out_h), p.b_w = uint32_t(g.out_w);
    dispatch_tiles(l, g, p, false, e,
                   {l.in(0, s), l.in(1), l.out(0, s), e.bias ? l.in(e.bias_input()) : l.in(1), e.residual ? l.in(e.residual_input(), s) : l.in(1)});
  }
}

void lower_depthwise_grad_input(Lowering& l, const ConvGeometry& g) {
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)})) {
    params::Depthwise p{};
    p.n = uint32_t(s.count);
    p.a_h = uint32_t(g.out_h), p.a_w = uint32_t(g.out_w), p.b_h = uint32_t(g.in_h), p.b_w = uint32_t(g.in_w);
    dispatch_tiles(l, g, p, true, {}, {l.in(0, s), l.in(1), l.out(0, s), l.in(1), l.in(1)});
  }
}

void lower_depthwise_grad_filter(Lowering& l, const ConvGeometry& g) {
  const int64_t blocks = divide_round_up(g.out_c, 4), count = g.filter_h * g.filter_w * g.out_c;
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0), l.in_desc(1)});
  const int64_t rows = batches.front().count * g.out_h;
  const int64_t wanted = divide_round_up(int64_t(l.target.parallel_groups) * l.target.workgroup, blocks);
  int64_t slices = std::max(wanted, divide_round_up(rows * g.out_w, kMostSummed));
  slices = std::min({slices, rows, std::max<int64_t>(1, int64_t(l.target.max_storage_range) / (count * 4 * int64_t(batches.size())))});
  const int64_t rows_per_slice = divide_round_up(rows, slices);
  int64_t total = 0;
  for (Slice s : batches) total += divide_round_up(s.count * g.out_h, rows_per_slice);
  const Binding partial = total > 1 ? l.workspace(size_t(total * count) * 4) : l.out(0);
  int64_t first = 0;
  for (Slice s : batches) {
    const int64_t here = divide_round_up(s.count * g.out_h, rows_per_slice);
    params::DepthwiseGradFilter p{};
    p.n = uint32_t(s.count);
    p.in_h = uint32_t(g.in_h), p.in_w = uint32_t(g.in_w), p.out_h = uint32_t(g.out_h), p.out_w = uint32_t(g.out_w), p.c = uint32_t(g.out_c);
    p.pad_y = int(g.pad_y), p.pad_x = int(g.pad_x);
    p.rows_per_slice = uint32_t(rows_per_slice), p.slices = uint32_t(here), p.first_slice = uint32_t(first), p.count = uint32_t(here * blocks);
    l.dispatch(l.channel_module("depthwise_grad_filter", l.in_desc(0).dtype, {g.out_c}, true),
               {l.target.workgroup, uint32_t(g.filter_h), uint32_t(g.filter_w), uint32_t(g.stride_y), g.out_w < 4 ? 2u : 4u},
               {l.in(0, s), l.in(1, s), partial}, p, groups_for_single(l, p.count));
    first += here;
  }
  if (total > 1) sum_slices(l, partial, l.out(0), count, total);
}

}  // namespace vkfer::ops
