// The tiled engines: a tile for every shape, slices of the inner dimension where the tiles do not fill the device, and the launches.
#include "graph/ops/conv_tile.h"

#include <cmath>
#include <numeric>
#include <optional>

#include "graph/ops/linear.h"
#include "graph/ops/util.h"
#include "shaders/params/conv_tile.h"

namespace vkfer::ops {
namespace {

constexpr int64_t kMostPixels = 1 << 24;  // shaders/include/divide.glsl is exact below this
constexpr int64_t kMostSummed = 4096;     // of a slice: bounds the rounding error and the turns of the shader's loops
constexpr int64_t kLeastSteps = 4;        // of a slice, so that its start and end do not dominate
constexpr double kStartSteps = 4;         // what the start and end of a workgroup cost, in steps
constexpr double kPassCost = 1 << 19;     // of one more launch, in multiply-adds of one workgroup's share of the device
constexpr double kElementCost = 32;       // of moving one partial result, likewise

bool is_dense(const ConvGeometry& g) {
  return g.filter_h == 1 && g.filter_w == 1 && g.stride_y == 1 && g.stride_x == 1 && g.in_h == g.out_h && g.in_w == g.out_w;
}

// A matrix product: rows x columns results, `steps` of the engine deep.
struct Product {
  int64_t rows, columns, steps;
  int64_t most_slices;               // by the storage range of the partial results
};

struct Choice {
  const Tile* tile = nullptr;
  int64_t slices = 1;
  int64_t tiles(const Product& p) const { return divide_round_up(p.rows, tile->rows) * divide_round_up(p.columns, tile->columns); }
};

// The fastest choice by a simple model: as many workgroups at a time as fill the device, and a further pass where the inner
// dimension is split. A function of the shape and the target alone, so a plan always sums in the same order.
Choice choose(const TileEngine& engine, const Target& t, const Product& p, int64_t least_slices) {
  const double at_once = std::max<uint32_t>(1, t.parallel_groups / 8);  // tiles work long and hold many registers
  const int64_t least = std::max<int64_t>(1, least_slices);  // a stride phase without a tap has no steps
  const int64_t most = std::max(least, std::min(p.most_slices, p.steps / kLeastSteps));
  Choice best;
  double best_time = 0;
  for (const Tile& tile : engine.tiles)
    for (int64_t slices = least; slices <= most; slices *= 2) {
      const Choice c{&tile, slices};
      const double rounds = std::ceil(double(c.tiles(p) * slices) / at_once);
      const double steps = double(divide_round_up(p.steps, slices)) + kStartSteps;
      double time = rounds * steps * double(tile.rows * tile.columns) * double(engine.step) / tile.rate;
      if (slices > 1) time += kPassCost + kElementCost * double(p.rows * p.columns) * double(slices + 1) / at_once;
      if (!best.tile || time < best_time) best = c, best_time = time;
    }
  return best;
}

std::vector<uint32_t> constants_of(const Tile& tile, bool dense, bool aligned, bool split, const Epilogue& e) {
  std::vector<uint32_t> constants{tile.workgroup, dense, aligned, split, e.bias, e.residual, e.activation, tile.rows, tile.columns};
  constants.insert(constants.end(), tile.constants.begin(), tile.constants.end());
  return constants;
}

int64_t most_images(int64_t h, int64_t w) { return std::max<int64_t>(1, kMostPixels / (h * w)); }

// The products of one node, forward or gradient of the input; they share one workspace for partial results.
class Products {
 public:
  struct Bindings {
    Binding a, filter, out;
    Binding bias, residual;
  };

  Products(Lowering& l, const TileEngine& engine, bool dense, const Epilogue& e) : l_(l), engine_(engine), dense_(dense), epilogue_(e) {}

  void add(params::ConvTile p, DType storage, const Bindings& b) {
    const int64_t in_blocks = divide_round_up(p.in_c, 4), blocks = int64_t(p.taps_y) * p.taps_x * in_blocks;
    const int64_t steps = divide_round_up(blocks, engine_.step / 4), bytes = int64_t(p.rows) * p.out_c * 4;
    const Product product{p.rows, p.out_c, steps, int64_t(l_.target.max_storage_range) / bytes};
    const Choice c = choose(engine_, l_.target, product, std::min(divide_round_up(steps * engine_.step, kMostSummed), std::max<int64_t>(1, product.most_slices)));
    p.inverse_qh = 1.0f / float(p.qh), p.inverse_qw = 1.0f / float(p.qw);
    p.inverse_in_blocks = 1.0f / float(in_blocks), p.inverse_taps_x = 1.0f / float(std::max(p.taps_x, 1u));
    p.slice_steps = uint32_t(divide_round_up(steps, c.slices));
    p.slices = p.slice_steps ? uint32_t(divide_round_up(steps, p.slice_steps)) : 1;
    p.column_tiles = uint32_t(divide_round_up(p.out_c, c.tile->columns));
    p.groups = uint32_t(c.tiles(product)) * p.slices;
    const bool split = p.slices > 1, aligned = p.in_c % engine_.step == 0;
    const Binding partial = split ? scratch(size_t(bytes) * p.slices) : b.out;
    l_.dispatch(l_.channel_module(engine_.stem, storage, {p.in_c, p.out_c}), constants_of(*c.tile, dense_, aligned, split, split ? Epilogue{} : epilogue_),
                {b.a, b.filter, partial, b.bias, b.residual}, p, l_.linear_groups(p.groups));
    if (!split) return;
    l_.dispatch(l_.channel_module("conv_split_sum", storage, {p.out_c}),
                {l_.target.workgroup, dense_, 0, 0, epilogue_.bias, epilogue_.residual, epilogue_.activation}, {partial, partial, b.out, b.bias, b.residual}, p,
                groups_for_single(l_, int64_t(p.rows) * divide_round_up(p.out_c, 4)));
  }

 private:
  Binding scratch(size_t bytes) {
    if (!scratch_) scratch_ = l_.workspace(bytes).id;
    size_t& size = l_.result.workspaces[size_t(*scratch_)];
    size = std::max(size, bytes);
    return {Binding::Kind::workspace, *scratch_, 0, bytes};
  }

  Lowering& l_;
  const TileEngine& engine_;
  const bool dense_;
  const Epilogue epilogue_;
  std::optional<int> scratch_;
};

}  // namespace

void lower_tiled(Lowering& l, const ConvGeometry& g, const Epilogue& e, const TileEngine& engine) {
  Products products(l, engine, is_dense(g), e);
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)}, most_images(g.out_h, g.out_w))) {
    params::ConvTile p{};
    p.rows = uint32_t(s.count * g.out_h * g.out_w);
    p.qh = uint32_t(g.out_h), p.qw = uint32_t(g.out_w);
    p.in_h = uint32_t(g.in_h), p.in_w = uint32_t(g.in_w), p.in_c = uint32_t(g.in_c), p.out_c = uint32_t(g.out_c);
    p.mul_y = int(g.stride_y), p.mul_x = int(g.stride_x);
    p.off_y = -int(g.pad_y), p.off_x = -int(g.pad_x);
    p.step_y = int(g.dilation_y), p.step_x = int(g.dilation_x);
    p.taps_y = uint32_t(g.filter_h), p.taps_x = uint32_t(g.filter_w);
    p.tap_move_y = uint32_t(g.filter_w), p.tap_move_x = 1;
    p.out_image = uint32_t(g.out_h * g.out_w), p.out_line = uint32_t(g.out_w), p.out_pixel = 1;
    products.add(p, l.in_desc(0).dtype,
              {l.in(0, s), l.in(1), l.out(0, s), e.bias ? l.in(e.bias_input()) : l.in(1), e.residual ? l.in(e.residual_input(), s) : l.in(1)});
  }
}

// Every stride phase is a dense sub-problem of its own, as in conv_gemm.cpp.
void lower_tiled_grad_input(Lowering& l, const ConvGeometry& g, const TileEngine& engine) {
  const DType storage = l.in_desc(0).dtype;
  const Binding transposed = l.workspace(size_t(l.in_desc(1).elements()) * dtype_bytes(storage));  // [taps, co, ci]
  transpose_matrices(l, l.in(1), transposed, storage, g.filter_h * g.filter_w, g.in_c, g.out_c);
  Products products(l, engine, is_dense(g), {});
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)}, most_images(g.in_h, g.in_w)))
    for (int64_t phase_y = 0; phase_y < g.stride_y; ++phase_y)
      for (int64_t phase_x = 0; phase_x < g.stride_x; ++phase_x) {
        const StridePhase y = stride_phase(phase_y, g.in_h, g.filter_h, g.stride_y, g.pad_y, g.dilation_y);
        const StridePhase x = stride_phase(phase_x, g.in_w, g.filter_w, g.stride_x, g.pad_x, g.dilation_x);
        if (!y.count || !x.count) continue;
        params::ConvTile p{};
        p.rows = uint32_t(s.count * y.count * x.count);
        p.qh = uint32_t(y.count), p.qw = uint32_t(x.count);
        p.in_h = uint32_t(g.out_h), p.in_w = uint32_t(g.out_w), p.in_c = uint32_t(g.out_c), p.out_c = uint32_t(g.in_c);
        p.mul_y = p.mul_x = 1;
        p.off_y = int(y.off), p.off_x = int(x.off);
        p.step_y = int(y.move), p.step_x = int(x.move);
        p.taps_y = uint32_t(y.taps), p.taps_x = uint32_t(x.taps);  // none: the phase is written with zeros
        p.first_tap = uint32_t(y.first * g.filter_w + x.first);
        p.tap_move_y = uint32_t(y.step * g.filter_w), p.tap_move_x = uint32_t(x.step);
        p.out_first = uint32_t(phase_y * g.in_w + phase_x), p.out_image = uint32_t(g.in_h * g.in_w);
        p.out_line = uint32_t(g.stride_y * g.in_w), p.out_pixel = uint32_t(g.stride_x);
        products.add(p, storage, {l.in(0, s), transposed, l.out(0, s), transposed, transposed});
      }
}

void lower_tiled_grad_filter(Lowering& l, const ConvGeometry& g, const TileEngine& engine) {
  const int64_t m = g.filter_h * g.filter_w * g.in_c, count = m * g.out_c;
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0), l.in_desc(1)}, most_images(g.out_h, g.out_w));
  const int64_t pixels = batches.front().count * g.out_h * g.out_w;  // later batches are no larger
  const int64_t most_slices = std::max<int64_t>(1, int64_t(l.target.max_storage_range) / (count * 4 * int64_t(batches.size())));
  const Product product{m, g.out_c, divide_round_up(pixels, engine.step), most_slices};
  const Choice c = choose(engine, l.target, product, std::min(divide_round_up(pixels, kMostSummed), most_slices));
  const int64_t slice_pixels = divide_round_up(product.steps, c.slices) * engine.step;

  std::vector<int64_t> per_batch;
  bool aligned = true;
  for (Slice s : batches) {
    per_batch.push_back(divide_round_up(s.count * g.out_h * g.out_w, slice_pixels));
    aligned = aligned && s.count * g.out_h * g.out_w % engine.step == 0;
  }
  const int64_t total = std::accumulate(per_batch.begin(), per_batch.end(), int64_t(0));
  const Binding partial = total > 1 ? l.workspace(size_t(total * count) * 4) : l.out(0);

  int64_t first = 0;
  for (size_t b = 0; b < batches.size(); first += per_batch[b++]) {
    params::ConvTileGradFilter p{};
    p.pixels = uint32_t(batches[b].count * g.out_h * g.out_w);
    p.out_h = uint32_t(g.out_h), p.out_w = uint32_t(g.out_w);
    p.inverse_h = 1.0f / float(g.out_h), p.inverse_w = 1.0f / float(g.out_w);
    p.in_h = uint32_t(g.in_h), p.in_w = uint32_t(g.in_w), p.in_c = uint32_t(g.in_c), p.out_c = uint32_t(g.out_c);
    p.filter_w = uint32_t(g.filter_w), p.m = uint32_t(m);
    p.stride_y = int(g.stride_y), p.stride_x = int(g.stride_x), p.pad_y = int(g.pad_y), p.pad_x = int(g.pad_x);
    p.dilation_y = int(g.dilation_y), p.dilation_x = int(g.dilation_x);
    p.row_tiles = uint32_t(divide_round_up(m, c.tile->rows)), p.column_tiles = uint32_t(divide_round_up(g.out_c, c.tile->columns));
    p.slice_pixels = uint32_t(slice_pixels), p.first_slice = uint32_t(first);
    p.groups = uint32_t(per_batch[b] * c.tiles(product));
    l.dispatch(l.channel_module(engine.stem + "_grad_filter", l.in_desc(0).dtype, {g.in_c, g.out_c}), constants_of(*c.tile, is_dense(g), aligned, false, {}),
               {l.in(0, batches[b]), l.in(1, batches[b]), partial}, p, l.linear_groups(p.groups));
  }
  if (total > 1) sum_slices(l, partial, l.out(0), count, total);
}

}  // namespace vkfer::ops
