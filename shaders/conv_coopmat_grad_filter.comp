//! variants: f16 f16_scalar
//! requires: glslang 14
#version 450
// Gradient of a convolution's filter as a matrix product with a long inner dimension, coopmat engine.
//
//   partial[slice][m, co] = sum over the output pixels q of the slice of x[pixel(q, tap), ci] * dy[q, co],   m = tap * in_c + ci
//   x [n, in_h, in_w, in_c], dy [n, out_h, out_w, out_c], partial f32 [slices, taps * in_c, out_c]
//
// Matrices as in conv_coopmat.comp. Both operands lie pixel after pixel, so the left one is read by columns. sum_slices.comp adds
// the partials in order.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "common.glsl"
#include "coopmat.glsl"
#include "conv_tile_grad_filter.glsl"

const uint kStrideX = kRowBlocks + kPad, kStrideDy = kTileBlocks + kPad;
shared f16vec4 x_tile[kStep * kStrideX];
shared f16vec4 dy_tile[kStep * kStrideDy];

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  find_tile(group);
  find_rows();
  uint self = gl_LocalInvocationID.x;
  uint at_x = self / kRowBlocks * kStrideX + self % kRowBlocks, at_dy = self / kTileBlocks * kStrideDy + self % kTileBlocks;
  uint first_row = grid_row(), first_column = grid_column();

  Sum sum[kGridRows * kGridColumns];
  [[unroll]] for (uint i = 0; i < kGridRows * kGridColumns; ++i) sum[i] = Sum(0.0);
  vec4 vx[kLoadsX], vdy[kLoadsDy];
  uint first = first_pixel(), end = end_pixel();
  load_x(first, end, vx);
  load_dy(first, end, vdy);
  for (; first < end; first += kStep) {
    barrier();  // the step before has been read
    [[unroll]] for (uint j = 0; j < kLoadsX; ++j) x_tile[at_x + j * kPixelsAtOnceX * kStrideX] = f16vec4(vx[j]);
    [[unroll]] for (uint j = 0; j < kLoadsDy; ++j) dy_tile[at_dy + j * kPixelsAtOnceDy * kStrideDy] = f16vec4(vdy[j]);
    barrier();
    if (first + kStep < end) {
      load_x(first + kStep, end, vx);
      load_dy(first + kStep, end, vdy);
    }
    for (uint k = 0; k < kStep; k += kK) {
      Left l[kGridRows];
      [[unroll]] for (uint i = 0; i < kGridRows; ++i)
        coopMatLoad(l[i], x_tile, k * kStrideX + (first_row + i * kM) / 4u, kStrideX, gl_CooperativeMatrixLayoutColumnMajor);
      [[unroll]] for (uint j = 0; j < kGridColumns; ++j) {
        Right r;
        coopMatLoad(r, dy_tile, k * kStrideDy + (first_column + j * kN) / 4u, kStrideDy, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint i = 0; i < kGridRows; ++i) sum[i * kGridColumns + j] = coopMatMulAdd(l[i], r, sum[i * kGridColumns + j]);
      }
    }
  }

  [[unroll]] for (uint i = 0; i < kGridRows; ++i)
    [[unroll]] for (uint j = 0; j < kGridColumns; ++j)
      store_sum(sum[i * kGridColumns + j], first_row + i * kM, first_column + j * kN);
}
