//! variants: f32 f16 f32_texel f16_texel
#version 450
// Convolution as a matrix product, subgroup engine where a load at one address for the whole workgroup is a scalar load
// (Target::scalar_loads): 1x1 and linear, also the gradient of their input, and convolutions that see no edge.
//
//   y[q, co] = activation( sum over runs t, ci of a[start(q) + t * step + ci] * filter[t * in_c + ci][co] + bias[co] + residual[q, co] )
//   filter [runs * in_c, out_c] or, transposed, [out_c, in_c], y and residual [rows, out_c], bias [out_c]
//
// Dense: one run, a [rows, in_c], start(q) = q * in_c. kRuns: a [n, in_h, in_w, pixel] with its border (conv_pad.comp); what one row
// of the filter meets lies in one piece, a run of filter_w * pixel elements.
//
// A workgroup is one subgroup and computes kRows rows; a lane computes four output channels of each. Rows are the same for all
// lanes, so elements of `a` are scalar loads, broadcast for free; only the filter is loaded lane by lane, and each of its elements
// serves kRows times. in_c may be anything (a multiple of four where the filter is transposed), out_c is a multiple of four. Sums of
// more than kBlock terms are sums of blocks: their rounding error grows with the square root of the number of blocks alone.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "activation.glsl"
#include "divide.glsl"
#include "params/conv.h"

layout(constant_id = 1) const uint kRows = 32;
layout(constant_id = 2) const uint kUnroll = 4;          // of the channels; divides in_c
layout(constant_id = 3) const bool kTransposed = false;  // the input's gradient reads the forward filter as it is
layout(constant_id = 4) const bool kBias = false;
layout(constant_id = 5) const bool kResidual = false;
layout(constant_id = 6) const uint kActivation = 0;
// What the shape makes needless: CPU drivers run everything under a mask once a kernel branches.
layout(constant_id = 7) const bool kEveryGroup = false;  // no workgroup past the last
layout(constant_id = 8) const bool kEveryRow = false;    // rows are a multiple of kRows
layout(constant_id = 9) const bool kEveryColumn = false; // out_c fills the lanes
layout(constant_id = 10) const bool kRuns = false;

const uint kBlock = 48;                                  // channels; a multiple of every kUnroll

INPUT1(0, a);
CHANNELS_IN(1, b);
CHANNELS_OUT(2, y);
CHANNELS_IN_F32(3, bias);
CHANNELS_IN(4, residual);
layout(push_constant) uniform Push { ConvGemm p; };

uint start(uint q) {
  if (!kRuns) return q * p.in_c;
  uint line = divide(q, p.qw, p.inverse_qw), image = divide(line, p.qh, p.inverse_qh);
  return ((image * p.in_h + (line - image * p.qh) * uint(p.mul_y)) * p.in_w + (q - line * p.qw) * uint(p.mul_x)) * p.pixel;
}

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  uint row_block = group / p.column_blocks, column_block = group - row_block * p.column_blocks, first_row = row_block * kRows;
  uint column = column_block * gl_WorkGroupSize.x + gl_LocalInvocationID.x;  // four output channels
  uint safe_column = min(column, p.out_c / 4u - 1u);   // loads past the edge are clamped, stores are skipped

  uint row[kRows];                                     // where it starts in `a`
  vec4 sum[kRows], total[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    row[r] = start(kEveryRow ? first_row + r : min(first_row + r, p.rows - 1u));
    sum[r] = total[r] = vec4(0.0);
  }
  for (uint t = 0; t < (kRuns ? p.taps_y : 1u); ++t) {
    uint filter_row = t * p.in_c, run = t * uint(p.step_y);
    for (uint first = 0; first < p.in_c; first += kBlock) {
      uint end = min(first + kBlock, p.in_c);
      for (uint c = first; c < end; c += kUnroll) {
        vec4 vb[kUnroll];
        if (kTransposed) {                               // four channels of each of the four columns
          vec4 w[4];
          [[unroll]] for (uint j = 0; j < 4; ++j) w[j] = LOADC(b, 4u * safe_column + j, c / 4u, p.in_c);
          [[unroll]] for (uint k = 0; k < kUnroll; ++k) vb[k] = vec4(w[0][k], w[1][k], w[2][k], w[3][k]);
        } else {
          [[unroll]] for (uint k = 0; k < kUnroll; ++k) vb[k] = LOADC(b, filter_row + c + k, safe_column, p.out_c);
        }
        [[unroll]] for (uint r = 0; r < kRows; ++r)
          [[unroll]] for (uint k = 0; k < kUnroll; ++k) sum[r] = fma(vec4(LOAD1(a, row[r] + run + c + k)), vb[k], sum[r]);
      }
      [[unroll]] for (uint r = 0; r < kRows; ++r) {
        total[r] += sum[r];
        sum[r] = vec4(0.0);
      }
    }
  }

  if (!kEveryColumn && column != safe_column) return;
  vec4 offset = kBias ? LOADC_F32(bias, 0u, column, p.out_c) : vec4(0.0);
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    uint q = first_row + r;
    if (kEveryRow || q < p.rows) {
      vec4 v = total[r] + offset;
      if (kResidual) v += LOADC(residual, q, column, p.out_c);
      STOREC(y, q, column, p.out_c, activate(kActivation, v));
    }
  }
}
