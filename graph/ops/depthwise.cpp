// Depthwise convolution's own kernels (shaders/depthwise.comp, depthwise_grad_filter.comp) under the ops of conv.cpp.
#include <numeric>

#include "graph/ops/conv_geometry.h"
#include "graph/ops/util.h"
#include "shaders/params/conv.h"

namespace vkfer::ops {
namespace {

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

// A tile of outputs and what the kernels may take for granted about it (constants of shaders/depthwise.comp).
struct Tiling {
  int64_t tile_y, tile_x, tiles_y, tiles_x;
  bool shared;             // one tile a workgroup
  bool whole;              // one tile covers the map
  bool every_tile;
};

// height, width: of the map that is tiled; step: tiles are multiples of it; tall: four rows even where registers are dear.
Tiling choose_tiling(const Target& t, int64_t height, int64_t width, int64_t step, bool tall) {
  Tiling c{};
  c.shared = t.scalar_loads;
  auto fit = [&](int64_t size, int64_t most) { return std::min(divide_round_up(size, step) * step, most); };
  // Small maps whole where edges cost nothing; 2x4 keeps the registers of a GPU's lane low and 4x4 reads less.
  const int64_t most_y = c.shared || tall ? 4 : 2;
  c.tile_y = fit(height, most_y), c.tile_x = fit(width, 4);
  if (c.shared && height <= 6 && width <= 6) c.tile_y = fit(height, 6), c.tile_x = fit(width, 6);
  c.tiles_y = divide_round_up(height, c.tile_y), c.tiles_x = divide_round_up(width, c.tile_x);
  c.whole = c.tiles_y == 1 && c.tiles_x == 1;
  c.every_tile = height % c.tile_y == 0 && width % c.tile_x == 0;
  return c;
}

// Workgroups that share their work item, each taking as many channel blocks as it has lanes.
struct SharedGroups {
  std::array<uint32_t, 3> groups;
  bool every_lane;
};
SharedGroups shared_groups(const Lowering& l, int64_t items, int64_t blocks) {
  const int64_t all = items * divide_round_up(blocks, int64_t(l.target.workgroup));
  const auto groups = l.linear_groups(uint64_t(all));
  return {groups, int64_t(groups[0]) * groups[1] == all && blocks % l.target.workgroup == 0};
}

void dispatch_tiles(Lowering& l, const ConvGeometry& g, params::Depthwise p, bool gradient, const Epilogue& e, const DepthwiseBindings& b) {
  const Tiling t = choose_tiling(l.target, p.b_h, p.b_w, gradient ? g.stride_y : 1, false);
  const int64_t blocks = divide_round_up(g.out_c, 4), tiles = int64_t(p.n) * t.tiles_y * t.tiles_x;
  p.c = uint32_t(g.out_c);
  p.tiles_y = uint32_t(t.tiles_y), p.tiles_x = uint32_t(t.tiles_x);
  p.count = uint32_t(t.shared ? tiles : tiles * blocks);
  const SharedGroups s = shared_groups(l, tiles, blocks);
  const uint32_t items = t.shared ? 1 : items_of(l, p.count);
  l.dispatch(l.channel_module("depthwise", l.in_desc(0).dtype, {g.out_c}, true),
             {l.target.workgroup, uint32_t(g.filter_h), uint32_t(g.filter_w), uint32_t(g.stride_y), uint32_t(t.tile_y), uint32_t(t.tile_x), gradient,
              uint32_t(g.pad_y), uint32_t(g.pad_x), e.bias, e.residual, e.activation, items, t.shared, t.whole ? p.a_h : 0, t.whole ? p.a_w : 0,
              t.every_tile, t.shared && s.every_lane},
             {b.a, b.filter, b.b, b.bias, b.residual}, p, t.shared ? s.groups : item_groups(l, p.count));
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
  const Tiling t = choose_tiling(l.target, g.out_h, g.out_w, 1, true);
  const int64_t tiles_per_image = t.tiles_y * t.tiles_x, pixels_per_tile = t.tile_y * t.tile_x;
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0), l.in_desc(1)});
  const int64_t tiles = batches.front().count * tiles_per_image;
  int64_t slices = std::max(filling_slices(l, blocks), divide_round_up(tiles * pixels_per_tile, kMostSummed));
  slices = std::min({slices, tiles, std::max<int64_t>(1, int64_t(l.target.max_storage_range) / (count * 4 * int64_t(batches.size())))});
  const int64_t tiles_per_slice = divide_round_up(tiles, slices);
  int64_t total = 0;
  for (Slice s : batches) total += divide_round_up(s.count * tiles_per_image, tiles_per_slice);
  const Binding partial = total > 1 ? l.workspace(size_t(total * count) * 4) : l.out(0);
  int64_t first = 0;
  for (Slice s : batches) {
    const int64_t here = divide_round_up(s.count * tiles_per_image, tiles_per_slice);
    params::DepthwiseGradFilter p{};
    p.n = uint32_t(s.count);
    p.in_h = uint32_t(g.in_h), p.in_w = uint32_t(g.in_w), p.out_h = uint32_t(g.out_h), p.out_w = uint32_t(g.out_w), p.c = uint32_t(g.out_c);
    p.tiles_y = uint32_t(t.tiles_y), p.tiles_x = uint32_t(t.tiles_x), p.tiles_per_slice = uint32_t(tiles_per_slice);
    p.slices = uint32_t(here), p.first_slice = uint32_t(first), p.count = uint32_t(here * blocks);
    const SharedGroups shared = shared_groups(l, here, blocks);
    l.dispatch(l.channel_module("depthwise_grad_filter", l.in_desc(0).dtype, {g.out_c}, true),
               {l.target.workgroup, uint32_t(g.filter_h), uint32_t(g.filter_w), uint32_t(g.stride_y), uint32_t(t.tile_y), uint32_t(t.tile_x),
                uint32_t(g.pad_y), uint32_t(g.pad_x), t.shared, t.whole ? p.in_h : 0, t.whole ? p.in_w : 0, t.every_tile, t.shared && shared.every_lane},
               {l.in(0, s), l.in(1, s), partial}, p, t.shared ? shared.groups : groups_for_single(l, p.count));
    first += here;
  }
  if (total > 1) sum_slices(l, partial, l.out(0), count, total);
}

}  // namespace vkfer::ops
