//! variants: f32 f16 f32_texel f16_texel
#version 450
// Convolution as an implicit matrix product, subgroup engine where a load at one address for the whole workgroup is a scalar
// load (Target::scalar_loads): forward, 1x1, linear, and each stride phase of the input's gradient. As conv_gemm.comp computes:
//
//   y[q, co] = activation( sum over taps t, channels ci of a[row(q, t), ci] * filter[t][ci][co] + bias[co] + residual[q, co] )
//   a [n, in_h, in_w, in_c], filter [taps, in_c, out_c], y and residual [n, out_h, out_w, out_c], bias [out_c]
//
// A workgroup is one subgroup and computes kRows rows; a lane computes four output channels of each. Rows are the same for all
// lanes, so elements of `a` are scalar loads, broadcast for free; only the filter is loaded lane by lane, and each of its elements
// serves kRows times. in_c may be anything, out_c is a multiple of four.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "activation.glsl"
#include "divide.glsl"
#include "params/conv.h"

layout(constant_id = 1) const uint kRows = 32;
layout(constant_id = 2) const uint kUnroll = 4;      // of the channels; divides in_c
layout(constant_id = 3) const bool kDense = false;   // row(q, t) = q: 1x1 with stride 1, or linear
layout(constant_id = 4) const bool kBias = false;
layout(constant_id = 5) const bool kResidual = false;
layout(constant_id = 6) const uint kActivation = 0;
layout(constant_id = 7) const bool kTransposed = false;  // filter [taps, out_c, in_c]: the forward filter in the input's gradient
// What the shape makes needless: CPU drivers run everything under a mask once a kernel branches.
layout(constant_id = 8) const bool kEveryGroup = false;  // no workgroup past the last
layout(constant_id = 9) const bool kEveryRow = false;    // rows are a multiple of kRows
layout(constant_id = 10) const bool kEveryColumn = false;

INPUT1(0, a);
CHANNELS_IN(1, b);
CHANNELS_OUT(2, y);
CHANNELS_IN_F32(3, bias);
CHANNELS_IN(4, residual);
layout(push_constant) uniform Push { ConvGemm p; };

// Sub-problem row q as a pixel, and the step to the next row.
struct Site { uint image, y, x; };
Site site_of(uint q) {
  uint line = divide(q, p.qw, p.inverse_qw), image = divide(line, p.qh, p.inverse_qh);
  return Site(image, line - image * p.qh, q - line * p.qw);
}
Site next(Site s) {
  ++s.x;
  if (s.x == p.qw) s.x = 0u, ++s.y;
  if (s.y == p.qh) s.y = 0u, ++s.image;
  return s;
}

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  uint row_block = group / p.column_blocks, column_block = group - row_block * p.column_blocks;
  uint first_row = row_block * kRows;
  uint column = column_block * gl_WorkGroupSize.x + gl_LocalInvocationID.x;  // four output channels
  uint safe_column = min(column, p.out_c / 4u - 1u);   // loads past the edge are clamped, stores are skipped

  vec4 sum[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) sum[r] = vec4(0.0);

  for (uint ty = 0; ty < (kDense ? 1u : p.taps_y); ++ty)
    for (uint tx = 0; tx < (kDense ? 1u : p.taps_x); ++tx) {
      uint row[kRows];                                 // where row q starts in `a`
      bool inside[kRows];
      if (kDense) {
        [[unroll]] for (uint r = 0; r < kRows; ++r) row[r] = (kEveryRow ? first_row + r : min(first_row + r, p.rows - 1u)) * p.in_c;
      } else {
        Site s = site_of(first_row);
        [[unroll]] for (uint r = 0; r < kRows; ++r) {
          int iy = int(s.y) * p.mul_y + p.off_y + int(ty) * p.step_y, ix = int(s.x) * p.mul_x + p.off_x + int(tx) * p.step_x;
          inside[r] = (kEveryRow || first_row + r < p.rows) && uint(iy) < p.in_h && uint(ix) < p.in_w;
          row[r] = inside[r] ? ((s.image * p.in_h + uint(iy)) * p.in_w + uint(ix)) * p.in_c : 0u;
          s = next(s);
        }
      }
      uint tap = (p.first_tap_y + ty * p.tap_step_y) * p.filter_w + p.first_tap_x + tx * p.tap_step_x;
      uint filter_row = tap * (kTransposed ? p.out_c : p.in_c);
      for (uint c = 0; c < p.in_c; c += kUnroll) {
        vec4 vb[kUnroll];
        if (kTransposed) {  // four channels of each of the four columns
          vec4 w[4];
          [[unroll]] for (uint j = 0; j < 4; ++j) w[j] = LOADC(b, filter_row + 4u * safe_column + j, c / 4u, p.in_c);
          [[unroll]] for (uint k = 0; k < kUnroll; ++k) vb[k] = vec4(w[0][k], w[1][k], w[2][k], w[3][k]);
        } else {
          [[unroll]] for (uint k = 0; k < kUnroll; ++k) vb[k] = LOADC(b, filter_row + c + k, safe_column, p.out_c);
        }
        [[unroll]] for (uint r = 0; r < kRows; ++r)
          [[unroll]] for (uint k = 0; k < kUnroll; ++k) {
            float va = LOAD1(a, row[r] + c + k);
            if (!kDense) va = inside[r] ? va : 0.0;
            sum[r] = fma(vec4(va), vb[k], sum[r]);
          }
      }
    }

  if (!kEveryColumn && column != safe_column) return;
  vec4 offset = kBias ? LOADC_F32(bias, 0u, column, p.out_c) : vec4(0.0);
  Site s = site_of(first_row);
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    uint q = first_row + r;
    if (kEveryRow || q < p.rows) {
      uint out_row = kDense ? q : (s.image * p.out_h + s.y * p.out_mul_y + p.out_off_y) * p.out_w + s.x * p.out_mul_x + p.out_off_x;
      vec4 v = sum[r] + offset;
      if (kResidual) v += LOADC(residual, out_row, column, p.out_c);
      STOREC(y, out_row, column, p.out_c, activate(kActivation, v));
    }
    s = next(s);
  }
}
