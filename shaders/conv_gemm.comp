//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// Convolution as an implicit matrix product, subgroup engine: forward, 1x1, linear, and each stride phase of the input's gradient.
//
//   y[q, co] = activation( sum over taps t, channels ci of a[row(q, t), ci] * filter[t][ci][co] + bias[co] + residual[q, co] )
//   a [n, in_h, in_w, in_c], filter [taps, in_c, out_c], y and residual [n, out_h, out_w, out_c], bias [out_c]
//
// A workgroup is one subgroup. Its lanes stand in kLanes columns; each group of kLanes lanes computes 16 rows, each lane four
// columns of them: 16 vec4 accumulators. A lane loads its share of the 16 rows of `a`, four channels at a time, and every value is
// broadcast by a shuffle from a constant lane. No shared memory, no barrier.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "channels.glsl"
#include "activation.glsl"
#include "divide.glsl"
#include "params/conv.h"

layout(constant_id = 1) const uint kLanes = 8;       // columns of lanes: 4, 8 or 16, at most the subgroup size
layout(constant_id = 2) const bool kDense = false;   // row(q, t) = q: 1x1 with stride 1, or linear
layout(constant_id = 3) const bool kUnroll2 = false; // in_c is a multiple of eight
layout(constant_id = 4) const bool kBias = false;
layout(constant_id = 5) const bool kResidual = false;
layout(constant_id = 6) const uint kActivation = 0;
layout(constant_id = 7) const bool kRowsFirst = false;   // workgroups of a column block follow each other: its filter stays in the cache

CHANNELS_IN(0, a);
CHANNELS_IN(1, b);
CHANNELS_OUT(2, y);
CHANNELS_IN_F32(3, bias);
CHANNELS_IN(4, residual);
layout(push_constant) uniform Push { ConvGemm p; };

const uint kRows = 16;
const uint kBlock = 16;  // blocks of four channels: sums of more terms are sums of blocks, for their rounding error

// The input pixel and the output pixel of sub-problem row q.
uvec2 pixel(uint q, out uint image) {
  uint line = divide(q, p.qw, p.inverse_qw);
  image = divide(line, p.qh, p.inverse_qh);
  return uvec2(q - line * p.qw, line - image * p.qh);
}

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  uint size = gl_WorkGroupSize.x, lane = gl_LocalInvocationID.x;
  uint part = kLanes == size ? 0u : lane / kLanes, column_lane = kLanes == size ? lane : lane % kLanes;
  uint row_block = group / p.column_blocks, column_block = group - row_block * p.column_blocks;
  if (kRowsFirst) {
    uint row_blocks = p.groups / p.column_blocks;
    column_block = group / row_blocks;
    row_block = group - column_block * row_blocks;
  }
  uint first_row = row_block * (kRows * (size / kLanes)) + part * kRows;
  uint out_blocks = CHANNEL_BLOCKS(p.out_c), in_blocks = CHANNEL_BLOCKS(p.in_c);
  uint column = column_block * kLanes + column_lane;           // four output channels
  uint safe_column = min(column, out_blocks - 1u);             // loads past the edge are clamped, stores are skipped
  uint source = part * kLanes;

  // This lane loads rows first_row + j * kLanes + column_lane, j < 16 / kLanes.
  int base_y[4], base_x[4];
  uint image_row[4];                                            // kDense: the row itself
  [[unroll]] for (uint j = 0; j < kRows / kLanes; ++j) {
    uint q = min(first_row + j * kLanes + column_lane, p.rows - 1u);
    if (kDense) {
      image_row[j] = q;
    } else {
      uint image;
      uvec2 xy = pixel(q, image);
      base_x[j] = int(xy.x) * p.mul_x + p.off_x;
      base_y[j] = int(xy.y) * p.mul_y + p.off_y;
      image_row[j] = image * p.in_h;
    }
  }

  vec4 sum[kRows], total[kRows];
  [[unroll]] for (uint i = 0; i < kRows; ++i) sum[i] = total[i] = vec4(0.0);

  for (uint ty = 0; ty < p.taps_y; ++ty)
    for (uint tx = 0; tx < p.taps_x; ++tx) {
      uint row[4];
      bool inside[4];
      [[unroll]] for (uint j = 0; j < kRows / kLanes; ++j) {
        if (kDense) {
          row[j] = image_row[j];
          inside[j] = true;
        } else {
          int iy = base_y[j] + int(ty) * p.step_y, ix = base_x[j] + int(tx) * p.step_x;
          inside[j] = uint(iy) < p.in_h && uint(ix) < p.in_w;
          row[j] = inside[j] ? (image_row[j] + uint(iy)) * p.in_w + uint(ix) : 0u;
        }
      }
      uint tap = (p.first_tap_y + ty * p.tap_step_y) * p.filter_w + p.first_tap_x + tx * p.tap_step_x;
      uint filter_row = tap * p.in_c;
      const uint unroll = kUnroll2 ? 2 : 1;
      for (uint first = 0; first < in_blocks; first += kBlock) {
        uint end = min(first + kBlock, in_blocks);
        for (uint c = first; c < end; c += unroll) {
          vec4 va[2][4], vb[8];
          [[unroll]] for (uint h = 0; h < unroll; ++h)
            [[unroll]] for (uint j = 0; j < kRows / kLanes; ++j) {
              va[h][j] = LOADC(a, row[j], c + h, p.in_c);
              if (!kDense && !inside[j]) va[h][j] = vec4(0.0);
            }
          [[unroll]] for (uint k = 0; k < 4 * unroll; ++k) {
#ifdef SCALAR
            // `a` reads zero past the last channel; the filter row there is another tap's and must only be in bounds.
            vb[k] = LOADC(b, min(filter_row + 4u * c + k, filter_row + p.in_c - 1u), safe_column, p.out_c);
#else
            vb[k] = LOADC(b, filter_row + 4u * c + k, safe_column, p.out_c);
#endif
          }
          [[unroll]] for (uint i = 0; i < kRows; ++i)
            [[unroll]] for (uint k = 0; k < 4 * unroll; ++k)
              sum[i] = fma(vec4(subgroupShuffle(va[k / 4][i / kLanes][k % 4], source + i % kLanes)), vb[k], sum[i]);
        }
        [[unroll]] for (uint i = 0; i < kRows; ++i) {
          total[i] += sum[i];
          sum[i] = vec4(0.0);
        }
      }
    }

  if (column >= out_blocks) return;
  vec4 offset = kBias ? LOADC_F32(bias, 0u, column, p.out_c) : vec4(0.0);
  [[unroll]] for (uint i = 0; i < kRows; ++i) {
    uint q = first_row + i;
    if (q < p.rows) {
      uint out_row = q;
      if (!kDense) {
        uint image;
        uvec2 xy = pixel(q, image);
        out_row = (image * p.out_h + xy.y * p.out_mul_y + p.out_off_y) * p.out_w + xy.x * p.out_mul_x + p.out_off_x;
      }
      vec4 v = total[i] + offset;
      if (kResidual) v += LOADC(residual, out_row, column, p.out_c);
      STOREC(y, out_row, column, p.out_c, activate(kActivation, v));
    }
  }
}
