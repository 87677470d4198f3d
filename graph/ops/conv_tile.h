#pragma once
// What the tiled engines of convolution and linear share: an engine is a pair of shaders and the tiles they can compute.
#include "graph/ops/conv_geometry.h"

namespace vkfer::ops {

struct Tile {
  uint32_t rows, columns, workgroup;
  double rate;                       // multiply-adds of one workgroup in a unit of time, relative to the others
  std::vector<uint32_t> constants;   // the shader's own, from number 9 on
};

struct TileEngine {
  std::string stem;                  // <stem>.comp and <stem>_grad_filter.comp
  int64_t step;                      // length along the inner dimension that a workgroup fetches at a time: kStep
  std::vector<Tile> tiles;           // those that fit the target; never empty
};

void lower_tiled(Lowering&, const ConvGeometry&, const Epilogue&, const TileEngine&);
void lower_tiled_grad_input(Lowering&, const ConvGeometry&, const TileEngine&);
void lower_tiled_grad_filter(Lowering&, const ConvGeometry&, const TileEngine&);

}  // namespace vkfer::ops
