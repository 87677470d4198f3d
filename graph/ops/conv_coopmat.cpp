// The coopmat engine of convolution and linear in 16-bit storage: tiles in shared memory, multiplied by cooperative matrices of the
// device's shape (shaders/conv_coopmat.comp, conv_coopmat_grad_filter.comp).
#include "graph/ops/conv_tile.h"

namespace vkfer::ops {
namespace {

constexpr uint32_t kStep = 32, kPad = 8;  // as in the shaders; of 16-bit elements

struct CoopmatTile {
  uint32_t grids_down, grids_across;      // a subgroup each
  uint32_t grid_rows, grid_columns;       // elements
  double rate;                            // an estimate, as in conv_shared.cpp
  uint32_t rows() const { return grids_down * grid_rows; }
  uint32_t columns() const { return grids_across * grid_columns; }
  uint32_t subgroups() const { return grids_down * grids_across; }
};
constexpr CoopmatTile kTiles[] = {
    {4, 2, 32, 64, 1.0},   // 128 x 128
    {2, 2, 32, 32, 0.6},   // 64 x 64
    {4, 1, 32, 32, 0.5},   // 128 x 32: few output channels
    {1, 2, 32, 32, 0.4},   // 32 x 64: few pixels
    {2, 2, 16, 16, 0.3},   // 32 x 32: little of both, or small subgroups
};
constexpr uint32_t kMostSums = 64;        // that an invocation holds in registers

uint32_t shared_bytes(const CoopmatTile& t, const Target& target) {
  const auto [m, n, k] = target.matrix;
  const uint32_t forward = t.rows() * (kStep + kPad) + kStep * (t.columns() + kPad);
  const uint32_t gradient = kStep * (t.rows() + kPad) + kStep * (t.columns() + kPad);
  return std::max(forward, gradient) * 2 + t.subgroups() * m * (n + 4) * 4;
}

// The device can run it, matrices tile it, and the invocations share the loads of a step evenly.
bool fits(const CoopmatTile& t, const Target& target) {
  const auto [m, n, k] = target.matrix;
  if (!m || !n || !k) return false;
  const uint32_t workgroup = t.subgroups() * target.subgroup_size;
  const auto even = [&](uint32_t blocks, uint32_t lines) { return workgroup % blocks == 0 && blocks * lines % workgroup == 0; };
  return workgroup <= target.max_invocations && shared_bytes(t, target) <= target.shared_memory_bytes &&
         t.grid_rows * t.grid_columns <= kMostSums * target.subgroup_size && t.grid_rows % m == 0 && t.grid_columns % n == 0 && kStep % k == 0 && n % 4 == 0 &&
         even(kStep / 4, t.rows()) && even(t.columns() / 4, kStep) && even(t.rows() / 4, kStep);
}

TileEngine engine(const Target& target) {
  const auto [m, n, k] = target.matrix;
  TileEngine e{"conv_coopmat", kStep, {}};
  for (const CoopmatTile& t : kTiles)
    if (fits(t, target))
      e.tiles.push_back({t.rows(), t.columns(), t.subgroups() * target.subgroup_size, t.rate,
                         {m, n, k, t.grid_rows / m, t.grid_columns / n, t.grids_across, t.subgroups()}});
  return e;
}

}  // namespace

bool conv_coopmat_fits(const Lowering& l, const ConvGeometry& g) {
  return g.groups == 1 && l.in_desc(0).dtype == DType::f16 && !engine(l.target).tiles.empty();
}
void lower_conv_coopmat(Lowering& l, const ConvGeometry& g, const Epilogue& e) { lower_tiled(l, g, e, engine(l.target)); }
void lower_conv_coopmat_grad_input(Lowering& l, const ConvGeometry& g) { lower_tiled_grad_input(l, g, engine(l.target)); }
void lower_conv_coopmat_grad_filter(Lowering& l, const ConvGeometry& g) { lower_tiled_grad_filter(l, g, engine(l.target)); }

}  // namespace vkfer::ops
