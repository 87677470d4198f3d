//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Convolution as an implicit matrix product, shared engine: forward, 1x1, linear, and each stride phase of the input's gradient.
//
//   y[q, co] = activation( sum over taps t, channels ci of a[row(q, t), ci] * b[t][ci][co] + bias[co] + residual[q, co] )
//   a [n, in_h, in_w, in_c], b [taps, in_c, out_c], y and residual [n, out_h, out_w, out_c], bias [out_c]
//
// A workgroup computes kTileRows x kTileColumns outputs, kStep deep at a time: it fetches both operands into shared memory, the
// next step's into registers meanwhile. An invocation computes kRows rows, far apart, of 4 * kBlocks columns. Both operands lie
// as vec4 in the order they were fetched in: eight neighbours, a phase of 128-bit accesses, read one vec4 of `a` and eight in a
// row of `b`, and write eight in a row of each, so no banks collide and no padding is needed.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
const uint kStep = 16;
#include "conv_tile.glsl"

layout(constant_id = 9) const uint kRows = 4;

const uint kBlocks = kTileRows * kTileBlocks / (gl_WorkGroupSize.x * kRows);
const uint kLanesX = kTileBlocks / kBlocks, kLanesY = kTileRows / kRows;

shared vec4 a_tile[kTileRows * kStepBlocks];
shared vec4 b_tile[kStep * kTileBlocks];

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  find_tile(group);
  find_rows();
  uint self = gl_LocalInvocationID.x, lane_y = self / kLanesX, lane_x = self - lane_y * kLanesX;

  vec4 sum[kRows * kBlocks], va[kLoadsA], vb[kLoadsB];
  [[unroll]] for (uint i = 0; i < kRows * kBlocks; ++i) sum[i] = vec4(0.0);
  uint now = first_step(), end = end_step();
  if (now < end) {
    load_a(now, va);
    load_b(now, vb);
  }
  for (; now < end; ++now) {
    barrier();  // the step before has been read
    [[unroll]] for (uint j = 0; j < kLoadsA; ++j) a_tile[self + j * gl_WorkGroupSize.x] = va[j];
    [[unroll]] for (uint j = 0; j < kLoadsB; ++j) b_tile[self + j * gl_WorkGroupSize.x] = vb[j];
    barrier();
    if (now + 1u < end) {
      load_a(now + 1u, va);
      load_b(now + 1u, vb);
    }
    [[unroll]] for (uint k = 0; k < kStepBlocks; ++k) {
      vec4 w[4 * kBlocks];
      [[unroll]] for (uint h = 0; h < 4; ++h)
        [[unroll]] for (uint j = 0; j < kBlocks; ++j) w[h * kBlocks + j] = b_tile[(4u * k + h) * kTileBlocks + lane_x + j * kLanesX];
      [[unroll]] for (uint i = 0; i < kRows; ++i) {
        vec4 v = a_tile[(lane_y + i * kLanesY) * kStepBlocks + k];
        [[unroll]] for (uint h = 0; h < 4; ++h)
          [[unroll]] for (uint j = 0; j < kBlocks; ++j)
            sum[i * kBlocks + j] = fma(vec4(v[h]), w[h * kBlocks + j], sum[i * kBlocks + j]);
      }
    }
  }

  [[unroll]] for (uint i = 0; i < kRows; ++i)
    [[unroll]] for (uint j = 0; j < kBlocks; ++j)
      store_tile(lane_y + i * kLanesY, lane_x + j * kLanesX, sum[i * kBlocks + j]);
}
