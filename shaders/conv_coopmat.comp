//! variants: f16 f16_scalar
//! requires: glslang 14
#version 450
// Convolution as an implicit matrix product, coopmat engine: as conv_shared.comp, with 16-bit operands and cooperative matrices
// that accumulate in f32.
//
//   y[q, co] = activation( sum over taps t, channels ci of a[row(q, t), ci] * b[t][ci][co] + bias[co] + residual[q, co] )
//   a [n, in_h, in_w, in_c], b [taps, in_c, out_c], y and residual [n, out_h, out_w, out_c], bias [out_c]
//
// A workgroup computes kTileRows x kTileColumns outputs, kStep deep at a time. A subgroup of it computes kGridRows x kGridColumns
// matrices of kM x kN. The matrix shape is the device's. Rows in shared memory are padded by 16 bytes: eight rows of a matrix then
// start in different banks, and on the alignment that loads of matrices want.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "common.glsl"
#include "coopmat.glsl"
#include "conv_tile.glsl"

const uint kStrideA = kStepBlocks + kPad, kStrideB = kTileBlocks + kPad;
shared f16vec4 a_tile[kTileRows * kStrideA];
shared f16vec4 b_tile[kStep * kStrideB];

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  find_tile(group);
  find_rows();
  uint self = gl_LocalInvocationID.x;
  uint at_a = self / kStepBlocks * kStrideA + self % kStepBlocks, at_b = self / kTileBlocks * kStrideB + self % kTileBlocks;
  uint first_row = grid_row(), first_column = grid_column();

  Sum sum[kGridRows * kGridColumns];
  [[unroll]] for (uint i = 0; i < kGridRows * kGridColumns; ++i) sum[i] = Sum(0.0);
  vec4 va[kLoadsA], vb[kLoadsB];
  uint now = first_step(), end = end_step();
  if (now < end) {
    load_a(now, va);
    load_b(now, vb);
  }
  for (; now < end; ++now) {
    barrier();  // the step before has been read
    [[unroll]] for (uint j = 0; j < kLoadsA; ++j) a_tile[at_a + j * kRowsAtOnce * kStrideA] = f16vec4(va[j]);
    [[unroll]] for (uint j = 0; j < kLoadsB; ++j) b_tile[at_b + j * kInnerAtOnce * kStrideB] = f16vec4(vb[j]);
    barrier();
    if (now + 1u < end) {
      load_a(now + 1u, va);
      load_b(now + 1u, vb);
    }
    for (uint k = 0; k < kStep; k += kK) {
      Left l[kGridRows];
      [[unroll]] for (uint i = 0; i < kGridRows; ++i)
        coopMatLoad(l[i], a_tile, (first_row + i * kM) * kStrideA + k / 4u, kStrideA, gl_CooperativeMatrixLayoutRowMajor);
      [[unroll]] for (uint j = 0; j < kGridColumns; ++j) {
        Right r;
        coopMatLoad(r, b_tile, k * kStrideB + (first_column + j * kN) / 4u, kStrideB, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint i = 0; i < kGridRows; ++i) sum[i * kGridColumns + j] = coopMatMulAdd(l[i], r, sum[i * kGridColumns + j]);
      }
    }
  }

  [[unroll]] for (uint i = 0; i < kGridRows; ++i)
    [[unroll]] for (uint j = 0; j < kGridColumns; ++j)
      store_sum(sum[i * kGridColumns + j], first_row + i * kM, first_column + j * kN);
}
