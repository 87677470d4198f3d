// The subgroup engine of convolution and linear: an implicit matrix product. Two kernels of it: one that broadcasts rows by
// shuffles (shaders/conv_gemm.comp, conv_gemm_grad_filter.comp), and one whose rows are scalar loads, where the device has them
// (shaders/conv_rows.comp, conv_rows_grad_filter.comp): for 1x1 and linear, and for the channel counts of images, which the former
// can only load one by one. It makes no test of the edge: images get a border of zeros first (shaders/conv_pad.comp).
#include <numeric>

#include "graph/ops/conv_geometry.h"
#include "graph/ops/linear.h"
#include "graph/ops/util.h"
#include "shaders/params/conv.h"

namespace vkfer::ops {
namespace {

constexpr int64_t kTileRows = 16;          // rows of a group of lanes, as in the shaders that shuffle
constexpr int64_t kMostPixels = 1 << 24;   // shaders/include/divide.glsl is exact below this
constexpr int64_t kCachedBytes = 192 << 10;
constexpr double kMostCachedFilter = 4 << 20;  // bytes
constexpr int64_t kMostSummed = 4096;      // pixels one slice of a filter gradient adds up: bounds the rounding error

// Lanes side by side along the columns: the widest that does not waste a quarter of its columns.
uint32_t choose_lanes(const Target& t, int64_t out_c) {
  const int64_t blocks = divide_round_up(out_c, 4);
  uint32_t best = 4;
  double best_cost = 1e300;
  for (uint32_t lanes = 4; lanes <= 16 && lanes <= t.subgroup_size; lanes *= 2) {
    // Narrow rows of lanes load `a` more often: a quarter of the load at 4, an eighth at 8.
    const double cost = double(divide_round_up(blocks, lanes) * lanes) * (1.0 + 1.0 / lanes);
    if (cost < best_cost) best_cost = cost, best = lanes;
  }
  return best;
}

// Rows of a workgroup where they are scalar loads, the number with the least work; 0 where shuffling is cheaper, as with so few
// columns that half of the lanes would idle. The unit is a multiply-add of a vector of lanes, for four inner elements and four
// columns a lane; loads lane by lane are dear on CPU drivers, scalar loads and shuffles cost one.
//   row_blocks(rows): blocks that the rows make; fill: workgroups below which cores idle; may_shuffle: 0 is an answer
template <class RowBlocks>
int64_t choose_rows(const Target& t, int64_t out_c, int64_t fill, RowBlocks row_blocks, bool may_shuffle = true) {
  constexpr double kVectorLoad = 40;
  if (!t.scalar_loads || out_c % 4) return 0;
  auto cost = [&](int64_t groups, int64_t rows, double loads) { return (5 * double(rows) + kVectorLoad * loads) * double(std::max(groups, fill)); };
  const int64_t columns = out_c / 4, lanes = choose_lanes(t, out_c), parts = t.subgroup_size / lanes;
  double best_cost = !may_shuffle ? 1e300 : cost(row_blocks(kTileRows * parts) * divide_round_up(columns, lanes), kTileRows, 1 + double(kTileRows) / (4 * double(lanes)));
  int64_t best = 0;
  for (int64_t rows : {32, 16, 8}) {
    const double c = cost(row_blocks(rows) * divide_round_up(columns, t.subgroup_size), rows, 1);
    if (c < best_cost) best_cost = c, best = rows;
  }
  return best;
}

int64_t choose_forward_rows(const Target& t, int64_t out_c, int64_t all, bool may_shuffle = true) {
  return choose_rows(t, out_c, int64_t(t.parallel_groups) / 2, [&](int64_t rows) { return divide_round_up(all, rows); }, may_shuffle);
}

// How many channels at a time: a divisor of their number.
uint32_t channel_unroll(int64_t channels) {
  for (uint32_t unroll : {4u, 3u, 2u})
    if (channels % unroll == 0) return unroll;
  return 1;
}

// What one launch of conv_gemm binds.
struct GemmBindings {
  Binding a, filter, out;
  Binding bias, residual;
  int64_t rows = 0;         // of a workgroup, with scalar loads; 0: shuffles
  bool transposed = false;  // filter [taps, out_c, in_c]
  bool runs = false;        // with scalar loads: `a` has its border, see Runs
};

void dispatch_gemm(Lowering& l, params::ConvGemm p, bool dense, const Epilogue& e, DType storage, const GemmBindings& b) {
  const uint32_t workgroup = l.target.subgroup_size;
  p.inverse_qh = 1.0f / float(p.qh);
  p.inverse_qw = 1.0f / float(p.qw);
  if (b.rows) {
    p.column_blocks = uint32_t(divide_round_up(p.out_c / 4, workgroup));
    p.groups = uint32_t(divide_round_up(p.rows, b.rows) * p.column_blocks);
    const auto groups = l.linear_groups(p.groups);
    l.dispatch(l.module("conv_rows", storage, true),
               {workgroup, uint32_t(b.rows), channel_unroll(p.in_c), b.transposed, e.bias, e.residual, e.activation,
                groups[0] * groups[1] == p.groups, p.rows % b.rows == 0, p.out_c / 4 % workgroup == 0, b.runs},
               {b.a, b.filter, b.out, b.bias, b.residual}, p, groups);
    return;
  }
  const uint32_t lanes = choose_lanes(l.target, p.out_c);
  // The filter is read once for every block of rows. Where it is too large for a core's cache and `a` is smaller, rows go first.
  const double filter_bytes = double(p.taps_y) * p.taps_x * p.in_c * p.out_c * double(dtype_bytes(storage));
  const double a_bytes = double(p.rows) / (double(p.qh) * p.qw) * p.in_h * p.in_w * p.in_c * double(dtype_bytes(storage));
  const bool rows_first = filter_bytes > kMostCachedFilter && a_bytes < filter_bytes;
  p.column_blocks = uint32_t(divide_round_up(divide_round_up(p.out_c, 4), lanes));
  p.groups = uint32_t(divide_round_up(p.rows, kTileRows * (workgroup / lanes)) * p.column_blocks);
  l.dispatch(l.channel_module("conv_gemm", storage, {p.in_c, p.out_c}, true),
             {workgroup, lanes, dense, p.in_c % 8 == 0, e.bias, e.residual, e.activation, rows_first}, {b.a, b.filter, b.out, b.bias, b.residual}, p,
             l.linear_groups(p.groups));
}

// Output pixel q reads input pixel q and no other.
bool is_dense(const ConvGeometry& g) {
  return g.filter_h == 1 && g.filter_w == 1 && g.stride_y == 1 && g.stride_x == 1 && g.in_h == g.out_h && g.in_w == g.out_w;
}

int64_t most_images(int64_t h, int64_t w) { return std::max<int64_t>(1, kMostPixels / (h * w)); }

// Convolutions whose input gets a border, so that a row of the filter meets filter_w * in_c neighbouring elements: a run.
struct Runs {
  int64_t h = 0, w = 0;               // of an image with its border
  bool border = false;                // false: the input serves as it is
  int64_t most_images = 0;            // that the device binds at once
  int64_t length = 0;
};

Runs runs_of(const Lowering& l, const ConvGeometry& g) {
  Runs r{(g.out_h - 1) * g.stride_y + (g.filter_h - 1) * g.dilation_y + 1, (g.out_w - 1) * g.stride_x + g.filter_w};
  r.border = g.pad_y || g.pad_x || r.h > g.in_h || r.w > g.in_w;
  if (!r.border) r.h = g.in_h, r.w = g.in_w;
  r.length = g.filter_w * g.in_c;
  r.most_images = int64_t(l.target.max_storage_range / (size_t(r.h * r.w * g.in_c) * dtype_bytes(l.in_desc(0).dtype) + 3));
  return r;
}

// Where runs serve: channels that do not come in fours, as in images. With columns for less than all lanes, shuffles are faster.
bool takes_runs(const Lowering& l, const ConvGeometry& g) {
  constexpr int64_t kMostTurns = 1 << 15;  // CPU drivers end an invocation's loops after twice as many
  return l.target.scalar_loads && g.in_c % 4 && g.out_c % 4 == 0 && g.out_c >= 4 * int64_t(l.target.subgroup_size) && g.dilation_x == 1 &&
         !is_dense(g) && g.filter_h * g.filter_w * g.in_c <= kMostTurns && runs_of(l, g).most_images > 0;
}

// The images of a slice with their border.
Binding with_border(Lowering& l, const ConvGeometry& g, const Runs& r, Binding x, int64_t images, Binding border) {
  if (!r.border) return x;
  params::ConvPad p{};
  p.lines = uint32_t(images * r.h), p.out_h = uint32_t(r.h), p.out_line = uint32_t(r.w * g.in_c);
  p.inverse_h = 1.0f / float(r.h);
  p.in_h = uint32_t(g.in_h), p.in_line = uint32_t(g.in_w * g.in_c);
  p.pad_y = int(g.pad_y), p.pad_line = int(g.pad_x * g.in_c);
  l.dispatch(l.module("conv_pad", l.in_desc(0).dtype), {l.target.workgroup}, {x, border}, p, l.linear_groups(p.lines));
  return border;
}

Binding border_workspace(Lowering& l, const ConvGeometry& g, const Runs& r, int64_t images) {
  return r.border ? l.workspace(size_t(images * r.h * r.w * g.in_c) * dtype_bytes(l.in_desc(0).dtype)) : Binding{};
}

void lower_conv_runs(Lowering& l, const ConvGeometry& g, const Epilogue& e) {
  const Runs r = runs_of(l, g);
  const std::vector<Slice> slices = l.batch_slices({l.in_desc(0), l.out_desc(0)}, std::min(most_images(g.out_h, g.out_w), r.most_images));
  const Binding border = border_workspace(l, g, r, slices.front().count);
  for (Slice s : slices) {
    params::ConvGemm p{};
    p.rows = uint32_t(s.count * g.out_h * g.out_w);
    p.qh = uint32_t(g.out_h), p.qw = uint32_t(g.out_w);
    p.in_h = uint32_t(r.h), p.in_w = uint32_t(r.w), p.in_c = uint32_t(r.length), p.pixel = uint32_t(g.in_c);
    p.out_c = uint32_t(g.out_c);
    p.mul_y = int(g.stride_y), p.mul_x = int(g.stride_x);
    p.taps_y = uint32_t(g.filter_h), p.step_y = int(g.dilation_y * r.w * g.in_c);
    const Binding a = with_border(l, g, r, l.in(0, s), s.count, border);
    dispatch_gemm(l, p, true, e, l.in_desc(0).dtype,
                  {.a = a, .filter = l.in(1), .out = l.out(0, s), .bias = e.bias ? l.in(e.bias_input()) : l.in(1),
                   .residual = e.residual ? l.in(e.residual_input(), s) : l.in(1),
                   .rows = choose_forward_rows(l.target, g.out_c, p.rows, false), .runs = true});
  }
}

}  // namespace

void lower_conv_gemm(Lowering& l, const ConvGeometry& g, const Epilogue& e) {
  if (takes_runs(l, g)) return lower_conv_runs(l, g, e);
  const bool dense = is_dense(g);
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)}, most_images(g.out_h, g.out_w))) {
    params::ConvGemm p{};
    p.rows = uint32_t(s.count * g.out_h * g.out_w);
    p.qh = uint32_t(g.out_h), p.qw = uint32_t(g.out_w);
    p.in_h = uint32_t(g.in_h), p.in_w = uint32_t(g.in_w), p.in_c = uint32_t(g.in_c);
    p.out_h = uint32_t(g.out_h), p.out_w = uint32_t(g.out_w), p.out_c = uint32_t(g.out_c);
    p.mul_y = int(g.stride_y), p.mul_x = int(g.stride_x);
    p.off_y = -int(g.pad_y), p.off_x = -int(g.pad_x);
    p.step_y = int(g.dilation_y), p.step_x = int(g.dilation_x);
    p.taps_y = uint32_t(g.filter_h), p.taps_x = uint32_t(g.filter_w);
    p.tap_step_y = p.tap_step_x = 1, p.filter_w = uint32_t(g.filter_w);
    p.out_mul_y = p.out_mul_x = 1;
    const int64_t rows = dense ? choose_forward_rows(l.target, g.out_c, p.rows) : 0;
    dispatch_gemm(l, p, dense, e, l.in_desc(0).dtype,
                  {l.in(0, s), l.in(1), l.out(0, s), e.bias ? l.in(e.bias_input()) : l.in(1), e.residual ? l.in(e.residual_input(), s) : l.in(1), rows});
  }
}

StridePhase stride_phase(int64_t phase, int64_t in, int64_t size, int64_t stride, int64_t pad, int64_t dilation) {
  StridePhase p{phase < in ? (in - phase - 1) / stride + 1 : 0, 0, 0, stride / std::gcd(stride, dilation), 0, 0};
  for (p.first = 0; p.first < size; ++p.first)
    if ((phase + pad - p.first * dilation) % stride == 0) break;
  if (p.first >= size) return p;
  p.taps = (size - 1 - p.first) / p.step + 1;
  p.off = (phase + pad - p.first * dilation) / stride;
  p.move = -(p.step * dilation) / stride;
  return p;
}

// Every stride phase is a dense sub-problem of its own: dx gathers, with no test of divisibility and no atomics.
void lower_conv_gemm_grad_input(Lowering& l, const ConvGeometry& g) {
  const DType storage = l.in_desc(0).dtype;
  const int64_t taps = g.filter_h * g.filter_w, elements = l.in_desc(1).elements();
  const bool dense = is_dense(g);
  // The kernel with scalar loads reads the filter as it is, unless it would have to read single elements of it.
  const int64_t rows = dense && g.out_c % 4 == 0 ? choose_forward_rows(l.target, g.in_c, g.n * g.in_h * g.in_w) : 0;
  Binding filter = l.in(1);
  if (!rows) {
    filter = l.workspace(size_t(elements) * dtype_bytes(storage));  // [taps, co, ci]
    transpose_matrices(l, l.in(1), filter, storage, taps, g.in_c, g.out_c);
  }
  for (Slice s : l.batch_slices({l.in_desc(0), l.out_desc(0)}, most_images(g.in_h, g.in_w)))
    for (int64_t phase_y = 0; phase_y < g.stride_y; ++phase_y)
      for (int64_t phase_x = 0; phase_x < g.stride_x; ++phase_x) {
        const StridePhase y = stride_phase(phase_y, g.in_h, g.filter_h, g.stride_y, g.pad_y, g.dilation_y);
        const StridePhase x = stride_phase(phase_x, g.in_w, g.filter_w, g.stride_x, g.pad_x, g.dilation_x);
        if (!y.count || !x.count) continue;
        params::ConvGemm p{};
        p.rows = uint32_t(s.count * y.count * x.count);
        p.qh = uint32_t(y.count), p.qw = uint32_t(x.count);
        p.in_h = uint32_t(g.out_h), p.in_w = uint32_t(g.out_w), p.in_c = uint32_t(g.out_c);
        p.out_h = uint32_t(g.in_h), p.out_w = uint32_t(g.in_w), p.out_c = uint32_t(g.in_c);
        p.mul_y = p.mul_x = 1;
        p.off_y = int(y.off), p.off_x = int(x.off);
        p.step_y = int(y.move), p.step_x = int(x.move);
        p.taps_y = uint32_t(y.taps), p.taps_x = uint32_t(x.taps);  // none: the phase is written with zeros
        p.first_tap_y = uint32_t(y.first), p.first_tap_x = uint32_t(x.first);
        p.tap_step_y = uint32_t(y.step), p.tap_step_x = uint32_t(x.step), p.filter_w = uint32_t(g.filter_w);
        p.out_mul_y = uint32_t(g.stride_y), p.out_mul_x = uint32_t(g.stride_x);
        p.out_off_y = uint32_t(phase_y), p.out_off_x = uint32_t(phase_x);
        dispatch_gemm(l, p, dense, {}, storage, {l.in(0, s), filter, l.out(0, s), filter, filter, rows, rows != 0});
      }
}

namespace {

// How a filter gradient is cut into workgroups.
struct FilterTiles {
  std::string module;
  std::vector<uint32_t> constants;
  int64_t row_blocks, column_blocks;
  int64_t pixels;  // of the inner dimension that the kernel takes at a time
  bool rows = false;  // with scalar loads
};

FilterTiles choose_filter_tiles(const Lowering& l, const ConvGeometry& g, bool runs) {
  const uint32_t workgroup = l.target.subgroup_size;
  const int64_t m = g.filter_h * g.filter_w * g.in_c;
  const DType storage = l.in_desc(0).dtype;
  const bool dense = is_dense(g);
  auto row_blocks = [&](int64_t rows) { return divide_round_up(m, rows); };
  if (const int64_t rows = dense || runs ? choose_rows(l.target, g.out_c, 1, row_blocks, !runs) : 0)  // 1: slices fill the device
    return {l.module("conv_rows_grad_filter", storage, true), {workgroup, uint32_t(rows)}, row_blocks(rows),
            divide_round_up(g.out_c / 4, workgroup), 4, true};
  const uint32_t lanes = choose_lanes(l.target, g.out_c);
  return {l.channel_module("conv_gemm_grad_filter", storage, {g.in_c, g.out_c}, true), {workgroup, lanes, dense},
          divide_round_up(m, kTileRows * (workgroup / lanes)), divide_round_up(divide_round_up(g.out_c, 4), lanes), lanes};
}

}  // namespace

void lower_conv_gemm_grad_filter(Lowering& l, const ConvGeometry& g) {
  const Target& t = l.target;
  const int64_t m = g.filter_h * g.filter_w * g.in_c;
  const bool runs = takes_runs(l, g);
  const Runs r = runs_of(l, g);
  const FilterTiles tiles = choose_filter_tiles(l, g, runs);
  const int64_t row_blocks = tiles.row_blocks, column_blocks = tiles.column_blocks, lanes = tiles.pixels;
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0), l.in_desc(1)}, std::min(most_images(g.out_h, g.out_w), runs ? r.most_images : INT64_MAX));
  const Binding border = runs ? border_workspace(l, g, r, batches.front().count) : Binding{};

  // Slices of the inner dimension: enough to fill the device and to keep each sum short, few enough for the workspace.
  const int64_t pixels = batches.front().count * g.out_h * g.out_w;
  // A slice is read once for every tile of the filter: it should stay in a core's cache, but be large beside the partial result.
  const int64_t cached = std::max(kCachedBytes / (4 * (g.in_c + g.out_c)), 4 * m * g.out_c / (g.in_c + g.out_c));
  int64_t slices = std::max(divide_round_up(t.parallel_groups, row_blocks * column_blocks), divide_round_up(pixels, std::min(kMostSummed, cached)));
  slices = std::min({slices, divide_round_up(pixels, lanes), std::max<int64_t>(1, int64_t(t.max_storage_range) / (m * g.out_c * 4 * int64_t(batches.size())))});
  const int64_t slice_pixels = divide_round_up(divide_round_up(pixels, slices), lanes) * lanes;

  std::vector<int64_t> per_batch;
  for (Slice s : batches) per_batch.push_back(divide_round_up(s.count * g.out_h * g.out_w, slice_pixels));
  const int64_t total = std::accumulate(per_batch.begin(), per_batch.end(), int64_t(0));
  const Binding partial = total > 1 ? l.workspace(size_t(total * m * g.out_c) * 4) : l.out(0);

  int64_t first = 0;
  for (size_t b = 0; b < batches.size(); first += per_batch[b++]) {
    params::ConvGradFilter p{};
    p.pixels = uint32_t(batches[b].count * g.out_h * g.out_w);
    p.out_h = uint32_t(g.out_h), p.out_w = uint32_t(g.out_w);
    p.inverse_h = 1.0f / float(g.out_h), p.inverse_w = 1.0f / float(g.out_w);
    p.in_h = uint32_t(runs ? r.h : g.in_h), p.in_w = uint32_t(runs ? r.w : g.in_w), p.in_c = uint32_t(g.in_c), p.out_c = uint32_t(g.out_c);
    p.filter_w = uint32_t(g.filter_w), p.m = uint32_t(m);
    p.stride_y = int(g.stride_y), p.stride_x = int(g.stride_x), p.pad_y = int(g.pad_y), p.pad_x = int(g.pad_x);
    p.dilation_y = int(g.dilation_y), p.dilation_x = int(g.dilation_x);
    p.row_blocks = uint32_t(row_blocks), p.column_blocks = uint32_t(column_blocks);
    p.slices = uint32_t(per_batch[b]), p.slice_pixels = uint32_t(slice_pixels), p.first_slice = uint32_t(first);
    p.groups = uint32_t(per_batch[b] * row_blocks * column_blocks);
    const auto groups = l.linear_groups(p.groups);
    std::vector<uint32_t> constants = tiles.constants;
    if (tiles.rows)
      constants.insert(constants.end(), {groups[0] * groups[1] == p.groups, m % tiles.constants[1] == 0,
                                         g.out_c / 4 % tiles.constants[0] == 0, p.pixels % 4 == 0, runs});
    const Binding x = runs ? with_border(l, g, r, l.in(0, batches[b]), batches[b].count, border) : l.in(0, batches[b]);
    l.dispatch(tiles.module, std::move(constants), {x, l.in(1, batches[b]), partial}, p, groups);
  }
  if (total > 1) sum_slices(l, partial, l.out(0), m * g.out_c, total);
}

void sum_slices(Lowering& l, Binding partial, Binding out, int64_t count, int64_t slices) {
  const params::SumSlices p{uint32_t(count), uint32_t(slices), uint32_t(count)};
  l.dispatch("sum_slices.f32", {l.target.workgroup}, {partial, out}, p, groups_for_single(l, count));
}

void transpose_matrices(Lowering& l, Binding from, Binding to, DType storage, int64_t taps, int64_t rows, int64_t columns) {
  const int64_t count = taps * rows * columns, in_blocks = rows % 4 || columns % 4 ? count : count / 16;
  const params::Transpose p{uint32_t(taps), uint32_t(rows), uint32_t(columns), uint32_t(in_blocks)};
  l.dispatch(l.channel_module("transpose", storage, {rows, columns}), {l.target.workgroup}, {from, to}, p, groups_for_single(l, p.count));
}

}  // namespace vkfer::ops
