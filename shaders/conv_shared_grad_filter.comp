//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Gradient of a convolution's filter as a matrix product with a long inner dimension, shared engine.
//
//   partial[slice][m, co] = sum over the output pixels q of the slice of x[pixel(q, tap), ci] * dy[q, co],   m = tap * in_c + ci
//   x [n, in_h, in_w, in_c], dy [n, out_h, out_w, out_c], partial f32 [slices, taps * in_c, out_c]
//
// A workgroup computes kTileRows x kTileColumns elements of one slice, kStep pixels at a time, as conv_shared.comp does; here both
// operands lie pixel after pixel, so an invocation's rows are blocks of four m. Split-K in two passes: sum_slices.comp adds the
// partials in order, so a run repeats bit for bit.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
const uint kStep = 16;
#include "conv_tile_grad_filter.glsl"

layout(constant_id = 9) const uint kRows = 4;  // rows of an invocation

const uint kQuads = kRows / 4;
const uint kBlocks = kTileRows * kTileBlocks / (gl_WorkGroupSize.x * kRows);
const uint kLanesX = kTileBlocks / kBlocks, kLanesY = kRowBlocks / kQuads;

shared vec4 x_tile[kStep * kRowBlocks];
shared vec4 dy_tile[kStep * kTileBlocks];

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  find_tile(group);
  find_rows();
  uint self = gl_LocalInvocationID.x, lane_y = self / kLanesX, lane_x = self - lane_y * kLanesX;

  vec4 sum[kRows * kBlocks], vx[kLoadsX], vdy[kLoadsDy];
  [[unroll]] for (uint i = 0; i < kRows * kBlocks; ++i) sum[i] = vec4(0.0);
  uint first = first_pixel(), end = end_pixel();
  load_x(first, end, vx);
  load_dy(first, end, vdy);
  for (; first < end; first += kStep) {
    barrier();  // the step before has been read
    [[unroll]] for (uint j = 0; j < kLoadsX; ++j) x_tile[self + j * gl_WorkGroupSize.x] = vx[j];
    [[unroll]] for (uint j = 0; j < kLoadsDy; ++j) dy_tile[self + j * gl_WorkGroupSize.x] = vdy[j];
    barrier();
    if (first + kStep < end) {
      load_x(first + kStep, end, vx);
      load_dy(first + kStep, end, vdy);
    }
    [[unroll]] for (uint k = 0; k < kStep; ++k) {
      vec4 w[kBlocks];
      [[unroll]] for (uint j = 0; j < kBlocks; ++j) w[j] = dy_tile[k * kTileBlocks + lane_x + j * kLanesX];
      [[unroll]] for (uint i = 0; i < kQuads; ++i) {
        vec4 v = x_tile[k * kRowBlocks + lane_y + i * kLanesY];
        [[unroll]] for (uint h = 0; h < 4; ++h)
          [[unroll]] for (uint j = 0; j < kBlocks; ++j)
            sum[(4 * i + h) * kBlocks + j] = fma(vec4(v[h]), w[j], sum[(4 * i + h) * kBlocks + j]);
      }
    }
  }

  [[unroll]] for (uint i = 0; i < kQuads; ++i)
    [[unroll]] for (uint h = 0; h < 4; ++h)
      [[unroll]] for (uint j = 0; j < kBlocks; ++j)
        store_tile((lane_y + i * kLanesY) * 4u + h, lane_x + j * kLanesX, sum[(4 * i + h) * kBlocks + j]);
}
