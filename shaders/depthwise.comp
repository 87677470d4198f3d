//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// Depthwise convolution, 3x3 or 5x5 (any odd or even size up to 7), stride 1 or 2, and the gradient of its input.
//
//   forward         b[n, y, x, c] = activation( sum over r, s of a[n, y*stride - pad + r, x*stride - pad + s, c] * filter[r][s][c] + bias[c] + residual )
//   input gradient  b[n, y, x, c] = sum over r, s with (y + pad - r) % stride == 0 of a[n, (y + pad - r)/stride, ..., c] * filter[r][s][c]
//   filter [size, size, c]
//
// An invocation computes a tile of kTileY x kTileX outputs of four channels; neighbouring lanes take neighbouring channels. The
// filter stays in registers, every input of the tile's window is read once. Where loads at one address are scalar loads (CPU
// drivers), all lanes of a workgroup share their tile, so that every address and every test of an edge is a scalar too.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "activation.glsl"
#include "params/conv.h"

layout(constant_id = 1) const int kSizeY = 3;
layout(constant_id = 2) const int kSizeX = 3;
layout(constant_id = 3) const int kStride = 1;
layout(constant_id = 4) const int kTileY = 2;      // multiples of the stride in the gradient
layout(constant_id = 5) const int kTileX = 4;
layout(constant_id = 6) const bool kGradient = false;
layout(constant_id = 7) const int kPadY = 1;       // which taps meet which output is known when compiling
layout(constant_id = 8) const int kPadX = 1;
layout(constant_id = 9) const bool kBias = false;
layout(constant_id = 10) const bool kResidual = false;
layout(constant_id = 11) const uint kActivation = 0;
layout(constant_id = 12) const uint kItems = 1;    // tiles an invocation does in turn: keeps neighbouring channels on one core of a CPU
layout(constant_id = 13) const bool kShared = false;     // one tile a workgroup, its lanes side by side over the channels
layout(constant_id = 14) const int kWholeY = 0;          // height and width of `a` where the tile covers the whole map; else 0
layout(constant_id = 15) const int kWholeX = 0;
layout(constant_id = 16) const bool kEveryTile = false;  // tiles cover `b` exactly
layout(constant_id = 17) const bool kEveryLane = false;  // no lane without a work item

CHANNELS_IN(0, a);
CHANNELS_IN(1, w);
CHANNELS_OUT(2, b);
CHANNELS_IN_F32(3, bias);
CHANNELS_IN(4, residual);
layout(push_constant) uniform Push { Depthwise p; };

// The window of `a` that a tile needs, relative to the tile's first row (or column) in units of a.
int floor_half(int v, int stride) { return stride == 1 ? v : v >> 1; }
int window_first(int pad, int size) { return kGradient ? floor_half(pad - (size - 1), kStride) : 0; }
int window_last(int pad, int size, int tile) { return kGradient ? floor_half(tile - 1 + pad, kStride) : (tile - 1) * kStride + size - 1; }
// The tap through which element i of the window meets output j of the tile, or -1.
int tap_of(int i, int j, int pad, int size) {
  int t = kGradient ? j + pad - i * kStride : i - j * kStride;
  return t >= 0 && t < size ? t : -1;
}

bool row_in_a(int y) { return kWholeY != 0 ? y >= 0 && y < kWholeY : uint(y) < p.a_h; }
bool column_in_a(int x) { return kWholeX != 0 ? x >= 0 && x < kWholeX : uint(x) < p.a_w; }

void compute_tile(uint tile, uint c) {
  uint blocks = CHANNEL_BLOCKS(p.c);
  uint tx = kWholeX != 0 ? 0u : tile % p.tiles_x;
  tile = kWholeX != 0 ? tile : tile / p.tiles_x;
  uint ty = kWholeY != 0 ? 0u : tile % p.tiles_y, image = kWholeY != 0 ? tile : tile / p.tiles_y;
  int x0 = int(tx) * kTileX, y0 = int(ty) * kTileY;
  // Window element i of `a` is at origin + i.
  int origin_x = kGradient ? x0 / kStride : x0 * kStride - kPadX, origin_y = kGradient ? y0 / kStride : y0 * kStride - kPadY;

  // Element (i, j) of the window is at base + (i * a_w + j) * blocks: one vector multiplication for all of them.
  uint stride_x = blocks, stride_y = p.a_w * blocks;
  int base = (int(image * p.a_h) + origin_y) * int(stride_y) + origin_x * int(stride_x);
  vec4 weight[49];
  [[unroll]] for (int t = 0; t < kSizeY * kSizeX; ++t) weight[t] = LOADC(w, uint(t), c, p.c);
  vec4 sum[36];
  [[unroll]] for (int i = 0; i < kTileY * kTileX; ++i) sum[i] = vec4(0.0);

  [[unroll]] for (int i = window_first(kPadY, kSizeY); i <= window_last(kPadY, kSizeY, kTileY); ++i) {
    int iy = origin_y + i;
    bool row_inside = row_in_a(iy);
    [[unroll]] for (int j = window_first(kPadX, kSizeX); j <= window_last(kPadX, kSizeX, kTileX); ++j) {
      int ix = origin_x + j;
      bool inside = row_inside && column_in_a(ix);
#ifdef SCALAR
      vec4 v = LOADC(a, inside ? (image * p.a_h + uint(iy)) * p.a_w + uint(ix) : 0u, c, p.c);
#else
      vec4 v = LOAD4(a, inside ? uint(base + i * int(stride_y) + j * int(stride_x)) + c : c);
#endif
      v = inside ? v : vec4(0.0);
      [[unroll]] for (int y = 0; y < kTileY; ++y)
        [[unroll]] for (int x = 0; x < kTileX; ++x) {
          int r = tap_of(i, y, kPadY, kSizeY), s = tap_of(j, x, kPadX, kSizeX);
          if (r >= 0 && s >= 0) sum[y * kTileX + x] = fma(v, weight[r * kSizeX + s], sum[y * kTileX + x]);
        }
    }
  }

  vec4 offset = kBias ? LOADC_F32(bias, 0u, c, p.c) : vec4(0.0);
  [[unroll]] for (int y = 0; y < kTileY; ++y)
    [[unroll]] for (int x = 0; x < kTileX; ++x)
      if (kEveryTile || (uint(y0 + y) < p.b_h && uint(x0 + x) < p.b_w)) {
        uint row = (image * p.b_h + uint(y0 + y)) * p.b_w + uint(x0 + x);
        vec4 v = sum[y * kTileX + x] + offset;
        if (kResidual) v += LOADC(residual, row, c, p.c);
        STOREC(b, row, c, p.c, activate(kActivation, v));
      }
}

void main() {
  uint blocks = CHANNEL_BLOCKS(p.c);
  if (kShared) {
    uint groups = (blocks + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x, tile = linear_group() / groups;
    uint c = (linear_group() - tile * groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (kEveryLane || (c < blocks && tile < p.count)) compute_tile(tile, c);
    return;
  }
  for (uint v = 0; v < kItems; ++v) {
    uint id = (linear_group() * kItems + v) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (id < p.count) compute_tile(id / blocks, id % blocks);
  }
}
