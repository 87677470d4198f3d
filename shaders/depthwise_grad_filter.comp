//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// Gradient of a depthwise filter, first pass.
//
//   partial[slice][r][s][c] = sum over the output rows of the slice and their x of x[n, y*stride - pad + r, x*stride - pad + s, c] * dy[n, y, x, c]
//   x [n, in_h, in_w, c], dy [n, out_h, out_w, c], partial f32 [slices, size, size, c]
//
// An invocation takes four channels of one slice and keeps a sum per tap in registers, so x and dy are read once for all taps of a
// tile of kTile outputs. sum_slices.comp adds the slices in order.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "params/conv.h"

layout(constant_id = 1) const int kSizeY = 3;
layout(constant_id = 2) const int kSizeX = 3;
layout(constant_id = 3) const int kStride = 1;
layout(constant_id = 4) const int kTile = 4;

CHANNELS_IN(0, x);
CHANNELS_IN(1, dy);
CHANNELS_OUT_F32(2, partial);
layout(push_constant) uniform Push { DepthwiseGradFilter p; };

void main() {
  uint id = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (id >= p.count) return;
  uint blocks = CHANNEL_BLOCKS(p.c);
  uint c = id % blocks, slice = id / blocks;
  uint first = slice * p.rows_per_slice, last = min(first + p.rows_per_slice, p.n * p.out_h);

  vec4 sum[49];
  [[unroll]] for (int t = 0; t < kSizeY * kSizeX; ++t) sum[t] = vec4(0.0);
  for (uint line = first; line < last; ++line) {
    uint image = line / p.out_h;
    int y = int(line - image * p.out_h) * kStride - p.pad_y;
    for (int x0 = 0; x0 < int(p.out_w); x0 += kTile) {
      vec4 g[8];
      [[unroll]] for (int j = 0; j < kTile; ++j) {
        bool inside = uint(x0 + j) < p.out_w;
        vec4 v = LOADC(dy, line * p.out_w + min(uint(x0 + j), p.out_w - 1u), c, p.c);
        g[j] = inside ? v : vec4(0.0);
      }
      [[unroll]] for (int r = 0; r < kSizeY; ++r) {
        int iy = y + r;
        bool row_inside = uint(iy) < p.in_h;
        [[unroll]] for (int i = 0; i < (kTile - 1) * kStride + kSizeX; ++i) {
          int ix = x0 * kStride - p.pad_x + i;
          bool inside = row_inside && uint(ix) < p.in_w;
          vec4 v = LOADC(x, inside ? (image * p.in_h + uint(iy)) * p.in_w + uint(ix) : 0u, c, p.c);
          v = inside ? v : vec4(0.0);
          [[unroll]] for (int j = 0; j < kTile; ++j) {
            int s = i - j * kStride;
            if (s >= 0 && s < kSizeX) sum[r * kSizeX + s] = fma(v, g[j], sum[r * kSizeX + s]);
          }
        }
      }
    }
  }
  [[unroll]] for (int t = 0; t < kSizeY * kSizeX; ++t) STOREC_F32(partial, (p.first_slice + slice) * uint(kSizeY * kSizeX) + uint(t), c, p.c, sum[t]);
}
