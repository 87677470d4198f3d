//! variants: f32 f16 f32_texel f16_texel
#version 450
// Gradient of a convolution's filter as a matrix product with a long inner dimension, where a load at one address for the whole
// workgroup is a scalar load: what conv_rows.comp computes forward.
//
//   partial[slice][m, co] = sum over the rows q of the slice of x[start(q) + offset(m)] * dy[q, co]
//   dy [rows, out_c], partial f32 [slices, m, out_c]
//
// Dense: x [rows, m], start(q) = q * m, offset(m) = m. kRuns: x [n, in_h, in_w, in_c] with its border, m = (r, s, ci).
// A workgroup is one subgroup and computes kRows rows m, the same for all lanes; a lane computes four neighbouring co of each.
// m may be anything, out_c is a multiple of four.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "divide.glsl"
#include "params/conv.h"

layout(constant_id = 1) const uint kRows = 32;
layout(constant_id = 2) const bool kEveryGroup = false;  // as in conv_rows.comp
layout(constant_id = 3) const bool kEveryRow = false;    // m is a multiple of kRows
layout(constant_id = 4) const bool kEveryColumn = false;
layout(constant_id = 5) const bool kEveryPixel = false;  // slices are multiples of kPixels
layout(constant_id = 6) const bool kRuns = false;
const uint kPixels = 4;                                  // of the inner dimension at a time
const uint kBlock = 64;                                  // pixels added up before they are added to the rest, as in conv_rows.comp

INPUT1(0, x);
CHANNELS_IN(1, dy);
CHANNELS_OUT_F32(2, partial);
layout(push_constant) uniform Push { ConvGradFilter p; };

uint start(uint q) {
  if (!kRuns) return q * p.m;
  uint line = divide(q, p.out_w, p.inverse_w), image = divide(line, p.out_h, p.inverse_h);
  return ((image * p.in_h + (line - image * p.out_h) * uint(p.stride_y)) * p.in_w + (q - line * p.out_w) * uint(p.stride_x)) * p.in_c;
}

uint offset(uint m) {
  if (!kRuns) return m;
  uint run = p.filter_w * p.in_c, r = m / run;
  return r * uint(p.dilation_y) * p.in_w * p.in_c + m - r * run;
}

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  uint row_block = group / p.column_blocks, column_block = group - row_block * p.column_blocks, slice = row_block / p.row_blocks;
  uint first_m = (row_block - slice * p.row_blocks) * kRows, rows = min(kRows, p.m - first_m);
  uint column = column_block * gl_WorkGroupSize.x + gl_LocalInvocationID.x, safe_column = min(column, p.out_c / 4u - 1u);

  uint place[kRows];
  vec4 sum[kRows], total[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    // Rows past the block's last one repeat it; they are not stored.
    place[r] = offset(first_m + (kEveryRow ? r : min(r, rows - 1u)));
    sum[r] = total[r] = vec4(0.0);
  }
  uint begin = slice * p.slice_pixels, end = min(begin + p.slice_pixels, p.pixels);
  for (uint first = begin; first < end; first += kBlock) {
    uint last = min(first + kBlock, end);
    for (uint q0 = first; q0 < last; q0 += kPixels) {
      vec4 vb[kPixels];
      uint site[kPixels];                                // where the rows start in x
      [[unroll]] for (uint k = 0; k < kPixels; ++k) {
        uint q = kEveryPixel ? q0 + k : min(q0 + k, end - 1u);
        site[k] = start(q);
        vb[k] = LOADC(dy, q, safe_column, p.out_c);
        if (!kEveryPixel && q0 + k >= end) vb[k] = vec4(0.0);
      }
      [[unroll]] for (uint r = 0; r < kRows; ++r)
        [[unroll]] for (uint k = 0; k < kPixels; ++k)
          sum[r] = fma(vec4(LOAD1(x, site[k] + place[r])), vb[k], sum[r]);
    }
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      total[r] += sum[r];
      sum[r] = vec4(0.0);
    }
  }

  if (!kEveryColumn && column != safe_column) return;
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    if (kEveryRow || r < rows) STOREC_F32(partial, (p.first_slice + slice) * p.m + first_m + r, column, p.out_c, total[r]);
}
