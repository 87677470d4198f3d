// The shared engine of convolution and linear: tiles in shared memory (shaders/conv_shared.comp, conv_shared_grad_filter.comp).
#include "graph/ops/conv_tile.h"

namespace vkfer::ops {
namespace {

constexpr uint32_t kStep = 16;  // as in the shaders

struct SharedTile {
  uint32_t rows, columns, workgroup, invocation_rows;
  double rate;  // larger tiles fetch less for a product; an estimate
};
constexpr SharedTile kTiles[] = {
    {128, 128, 256, 8, 1.0},
    {64, 64, 128, 4, 0.8},
    {128, 32, 128, 8, 0.7},  // few output channels: the first layers
    {32, 64, 64, 4, 0.6},    // few pixels: the last layers
};

// Two operands of `step` columns, in f32.
uint32_t shared_bytes(const SharedTile& t) { return (t.rows + t.columns) * kStep * 4; }

TileEngine engine(const Target& target) {
  TileEngine e{"conv_shared", kStep, {}};
  for (const SharedTile& t : kTiles)
    if (t.workgroup <= target.max_invocations && shared_bytes(t) <= target.shared_memory_bytes)
      e.tiles.push_back({t.rows, t.columns, t.workgroup, t.rate, {t.invocation_rows}});
  return e;
}

}  // namespace

bool conv_shared_fits(const Lowering& l, const ConvGeometry& g) { return g.groups == 1 && !engine(l.target).tiles.empty(); }
void lower_conv_shared(Lowering& l, const ConvGeometry& g, const Epilogue& e) { lower_tiled(l, g, e, engine(l.target)); }
void lower_conv_shared_grad_input(Lowering& l, const ConvGeometry& g) { lower_tiled_grad_input(l, g, engine(l.target)); }
void lower_conv_shared_grad_filter(Lowering& l, const ConvGeometry& g) { lower_tiled_grad_filter(l, g, engine(l.target)); }

}  // namespace vkfer::ops
