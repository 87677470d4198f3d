//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// Gradient of a depthwise filter, first pass.
//
//   partial[slice][r][s][c] = sum over the outputs (n, y, x) of the slice of x[n, y*stride - pad + r, x*stride - pad + s, c] * dy[n, y, x, c]
//   x [n, in_h, in_w, c], dy [n, out_h, out_w, c], partial f32 [slices, size, size, c]
//
// A slice is some tiles of kTileY x kTileX outputs, one after the other. An invocation takes four channels of one slice and keeps a
// sum per tap in registers, so x and dy are read once for all taps of a tile. Where loads at one address are scalar loads (CPU
// drivers), all lanes of a workgroup share their slice. sum_slices.comp adds the slices in order.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "params/conv.h"

layout(constant_id = 1) const int kSizeY = 3;
layout(constant_id = 2) const int kSizeX = 3;
layout(constant_id = 3) const int kStride = 1;
layout(constant_id = 4) const int kTileY = 1;
layout(constant_id = 5) const int kTileX = 4;
layout(constant_id = 6) const int kPadY = 1;
layout(constant_id = 7) const int kPadX = 1;
layout(constant_id = 8) const bool kShared = false;      // these four as in depthwise.comp; kWhole is the size of x
layout(constant_id = 9) const int kWholeY = 0;
layout(constant_id = 10) const int kWholeX = 0;
layout(constant_id = 11) const bool kEveryTile = false;
layout(constant_id = 12) const bool kEveryLane = false;

CHANNELS_IN(0, x);
CHANNELS_IN(1, dy);
CHANNELS_OUT_F32(2, partial);
layout(push_constant) uniform Push { DepthwiseGradFilter p; };

void add_slice(uint slice, uint c) {
  uint first = slice * p.tiles_per_slice, last = min(first + p.tiles_per_slice, p.n * p.tiles_y * p.tiles_x);
  vec4 sum[49];
  [[unroll]] for (int t = 0; t < kSizeY * kSizeX; ++t) sum[t] = vec4(0.0);
  for (uint tile = first; tile < last; ++tile) {
    uint line = kWholeX != 0 ? tile : tile / p.tiles_x, image = kWholeY != 0 ? line : line / p.tiles_y;
    int x0 = kWholeX != 0 ? 0 : int(tile - line * p.tiles_x) * kTileX, y0 = kWholeY != 0 ? 0 : int(line - image * p.tiles_y) * kTileY;
    vec4 g[36];
    [[unroll]] for (int v = 0; v < kTileY; ++v)
      [[unroll]] for (int u = 0; u < kTileX; ++u) {
        bool inside = kEveryTile || (uint(y0 + v) < p.out_h && uint(x0 + u) < p.out_w);
        vec4 d = LOADC(dy, inside ? (image * p.out_h + uint(y0 + v)) * p.out_w + uint(x0 + u) : 0u, c, p.c);
        g[v * kTileX + u] = inside ? d : vec4(0.0);
      }
    [[unroll]] for (int i = 0; i < (kTileY - 1) * kStride + kSizeY; ++i) {
      int iy = y0 * kStride - kPadY + i;
      bool row_inside = kWholeY != 0 ? iy >= 0 && iy < kWholeY : uint(iy) < p.in_h;
      [[unroll]] for (int j = 0; j < (kTileX - 1) * kStride + kSizeX; ++j) {
        int ix = x0 * kStride - kPadX + j;
        bool inside = row_inside && (kWholeX != 0 ? ix >= 0 && ix < kWholeX : uint(ix) < p.in_w);
        vec4 v = LOADC(x, inside ? (image * p.in_h + uint(iy)) * p.in_w + uint(ix) : 0u, c, p.c);
        v = inside ? v : vec4(0.0);
        [[unroll]] for (int y = 0; y < kTileY; ++y)
          [[unroll]] for (int u = 0; u < kTileX; ++u) {
            int r = i - y * kStride, s = j - u * kStride;
            if (r >= 0 && r < kSizeY && s >= 0 && s < kSizeX) sum[r * kSizeX + s] = fma(v, g[y * kTileX + u], sum[r * kSizeX + s]);
          }
      }
    }
  }
  [[unroll]] for (int t = 0; t < kSizeY * kSizeX; ++t) STOREC_F32(partial, (p.first_slice + slice) * uint(kSizeY * kSizeX) + uint(t), c, p.c, sum[t]);
}

void main() {
  uint blocks = CHANNEL_BLOCKS(p.c);
  if (kShared) {
    uint groups = (blocks + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x, slice = linear_group() / groups;
    uint c = (linear_group() - slice * groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (kEveryLane || (c < blocks && slice < p.slices)) add_slice(slice, c);
    return;
  }
  uint id = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (id < p.count) add_slice(id / blocks, id % blocks);
}
