//! variants: f32 f16 f32_texel f16_texel
#version 450
// Gradient of a convolution's filter as a matrix product with a long inner dimension, where a load at one address for the whole
// workgroup is a scalar load (conv_rows.comp). As conv_gemm_grad_filter.comp computes:
//
//   partial[slice][m, co] = sum over the output pixels q of the slice of x[pixel(q, tap), ci] * dy[q, co],   m = tap * in_c + ci
//   x [n, in_h, in_w, in_c], dy [n, out_h, out_w, out_c], partial f32 [slices, taps * in_c, out_c]
//
// A workgroup is one subgroup and computes kRows rows m, the same for all lanes; a lane computes four neighbouring co of each.
// A block of rows stays within one tap, so that a pixel's address is computed once for all of them. in_c may be anything, out_c is
// a multiple of four.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "divide.glsl"
#include "params/conv.h"

layout(constant_id = 1) const uint kRows = 32;
layout(constant_id = 2) const bool kDense = false;
layout(constant_id = 3) const bool kEveryGroup = false;  // as in conv_rows.comp
layout(constant_id = 4) const bool kEveryRow = false;
layout(constant_id = 5) const bool kEveryColumn = false;
layout(constant_id = 6) const bool kEveryPixel = false;  // slices are multiples of kPixels
const uint kPixels = 4;                              // of the inner dimension at a time

INPUT1(0, x);
CHANNELS_IN(1, dy);
CHANNELS_OUT_F32(2, partial);
layout(push_constant) uniform Push { ConvGradFilter p; };

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  uint row_block = group / p.column_blocks, column_block = group - row_block * p.column_blocks;
  uint slice = row_block / p.row_blocks;
  row_block -= slice * p.row_blocks;
  uint column = column_block * gl_WorkGroupSize.x + gl_LocalInvocationID.x, safe_column = min(column, p.out_c / 4u - 1u);

  uint blocks_per_tap = (p.in_c + kRows - 1u) / kRows, tap = row_block / blocks_per_tap, r0 = tap / p.filter_w;
  uint channel = (row_block - tap * blocks_per_tap) * kRows, rows = min(kRows, p.in_c - channel);
  int shift_y = int(r0) * p.dilation_y - p.pad_y, shift_x = int(tap - r0 * p.filter_w) * p.dilation_x - p.pad_x;

  vec4 sum[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) sum[r] = vec4(0.0);

  uint begin = slice * p.slice_pixels, end = min(begin + p.slice_pixels, p.pixels);
  uint line = kDense ? 0u : divide(begin, p.out_w, p.inverse_w), image = kDense ? 0u : divide(line, p.out_h, p.inverse_h);
  uint oy = line - image * p.out_h, ox = begin - line * p.out_w;
  for (uint q0 = begin; q0 < end; q0 += kPixels) {
    vec4 vb[kPixels];
    uint site[kPixels];                                // where the rows start in pixel k
    bool inside[kPixels];
    [[unroll]] for (uint k = 0; k < kPixels; ++k) {
      uint q = kEveryPixel ? q0 + k : min(q0 + k, end - 1u);
      vb[k] = LOADC(dy, q, safe_column, p.out_c);
      if (!kEveryPixel && q0 + k >= end) vb[k] = vec4(0.0);
      if (kDense) {
        site[k] = q * p.in_c + channel;
      } else {
        int iy = int(oy) * p.stride_y + shift_y, ix = int(ox) * p.stride_x + shift_x;
        inside[k] = (kEveryPixel || q0 + k < end) && uint(iy) < p.in_h && uint(ix) < p.in_w;
        site[k] = inside[k] ? ((image * p.in_h + uint(iy)) * p.in_w + uint(ix)) * p.in_c + channel : channel;
        ++ox;
        if (ox == p.out_w) ox = 0u, ++oy;
        if (oy == p.out_h) oy = 0u, ++image;
      }
    }
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      [[unroll]] for (uint k = 0; k < kPixels; ++k) {
        // Rows past the block's last one repeat it; they are not stored.
        float va = LOAD1(x, site[k] + (kEveryRow ? r : min(r, rows - 1u)));
        if (!kDense) va = inside[k] ? va : 0.0;
        sum[r] = fma(vec4(va), vb[k], sum[r]);
      }
  }

  if (!kEveryColumn && column != safe_column) return;
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    if (kEveryRow || r < rows) STOREC_F32(partial, (p.first_slice + slice) * p.m + tap * p.in_c + channel + r, column, p.out_c, sum[r]);
}
