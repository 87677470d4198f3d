//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// Gradient of a convolution's filter as a matrix product with a long inner dimension, subgroup engine.
//
//   partial[slice][m, co] = sum over the output pixels q of the slice of x[pixel(q, tap), ci] * dy[q, co],   m = tap * in_c + ci
//   x [n, in_h, in_w, in_c], dy [n, out_h, out_w, out_c], partial f32 [slices, taps * in_c, out_c]
//
// Lanes stand as in conv_gemm.comp: each group of kLanes lanes computes 16 rows m, each lane four columns co. The inner dimension
// goes kLanes pixels at a time: a lane loads the 16 values of one pixel, and each is broadcast to its group by a shuffle.
// Split-K in two passes: sum_slices.comp adds the partials in order, so a run repeats bit for bit.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "channels.glsl"
#include "divide.glsl"
#include "params/conv.h"

layout(constant_id = 1) const uint kLanes = 8;
layout(constant_id = 2) const bool kDense = false;

CHANNELS_IN(0, x);
CHANNELS_IN(1, dy);
CHANNELS_OUT_F32(2, partial);
layout(push_constant) uniform Push { ConvGradFilter p; };

const uint kRows = 16;
const uint kBlock = 64;  // pixels added up before they are added to the rest, for the rounding error; a multiple of kLanes

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  uint size = gl_WorkGroupSize.x, lane = gl_LocalInvocationID.x;
  uint part = kLanes == size ? 0u : lane / kLanes, column_lane = kLanes == size ? lane : lane % kLanes;
  uint row_block = group / p.column_blocks, column_block = group - row_block * p.column_blocks;
  uint slice = row_block / p.row_blocks;
  row_block -= slice * p.row_blocks;
  uint first_m = row_block * (kRows * (size / kLanes)) + part * kRows;
  uint out_blocks = CHANNEL_BLOCKS(p.out_c);
  uint column = column_block * kLanes + column_lane, safe_column = min(column, out_blocks - 1u);
  uint source = part * kLanes;

  // Where the rows m look: the vector variant in blocks of four channels of one tap, the scalar variant one by one.
#ifdef SCALAR
  const uint kParts = 16;
#else
  const uint kParts = 4;
#endif
  int shift_y[kParts], shift_x[kParts];
  uint channel[kParts];
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    uint m = min(first_m + j * (16u / kParts), p.m - 1u);
    uint tap = m / p.in_c;
    channel[j] = m - tap * p.in_c;
    uint r = tap / p.filter_w;
    shift_y[j] = int(r) * p.dilation_y - p.pad_y;
    shift_x[j] = int(tap - r * p.filter_w) * p.dilation_x - p.pad_x;
  }

  vec4 sum[kRows], total[kRows];
  [[unroll]] for (uint i = 0; i < kRows; ++i) sum[i] = total[i] = vec4(0.0);

  uint begin = slice * p.slice_pixels, end = min(begin + p.slice_pixels, p.pixels);
  for (uint first = begin; first < end; first += kBlock) {
    uint last = min(first + kBlock, end);
    for (uint q0 = first; q0 < last; q0 += kLanes) {
      uint q = q0 + column_lane;
      bool live = q < end;
      q = min(q, end - 1u);
      uint in_y = 0, in_x = 0, image = 0;
      if (!kDense) {
        uint line = divide(q, p.out_w, p.inverse_w);
        image = divide(line, p.out_h, p.inverse_h);
        in_x = (q - line * p.out_w) * uint(p.stride_x);
        in_y = (line - image * p.out_h) * uint(p.stride_y);
      }
      vec4 va[4];
      [[unroll]] for (uint j = 0; j < kParts; ++j) {
        uint row = q;
        bool inside = live;
        if (!kDense) {
          int iy = int(in_y) + shift_y[j], ix = int(in_x) + shift_x[j];
          inside = inside && uint(iy) < p.in_h && uint(ix) < p.in_w;
          row = inside ? (image * p.in_h + uint(iy)) * p.in_w + uint(ix) : 0u;
        }
#ifdef SCALAR
        va[j / 4][j % 4] = inside ? float(x[row * p.in_c + channel[j]]) : 0.0;
#else
        va[j] = inside ? LOADC(x, row, channel[j] / 4u, p.in_c) : vec4(0.0);
#endif
      }
      vec4 vb[kLanes];
      [[unroll]] for (uint k = 0; k < kLanes; ++k) vb[k] = LOADC(dy, min(q0 + k, end - 1u), safe_column, p.out_c);
      [[unroll]] for (uint i = 0; i < kRows; ++i)
        [[unroll]] for (uint k = 0; k < kLanes; ++k)
          sum[i] = fma(vec4(subgroupShuffle(va[i / 4][i % 4], source + k)), vb[k], sum[i]);
    }
    [[unroll]] for (uint i = 0; i < kRows; ++i) {
      total[i] += sum[i];
      sum[i] = vec4(0.0);
    }
  }

  if (column >= out_blocks) return;
  [[unroll]] for (uint i = 0; i < kRows; ++i)
    if (first_m + i < p.m) STOREC_F32(partial, (p.first_slice + slice) * p.m + first_m + i, column, p.out_c, total[i]);
}
