//! variants: f32 f16
#version 450
// Gradient of the plain convolution's input, direct engine: gathers, so no atomics.
//
//   dx[n, iy, ix, ci] = sum over r, s, co of the group of dy[n, oy, ox, co] * filter[r][s][ci][co],  oy * stride - pad + r * dilation = iy
// One invocation computes one element of dx.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/conv.h"

INPUT1(0, dy);
INPUT1(1, w);
OUTPUT1(2, dx);
layout(push_constant) uniform Push { ConvDirect p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
  uint c = i % p.in_c, ix = i / p.in_c % p.in_w, iy = i / (p.in_c * p.in_w) % p.in_h, n = i / (p.in_c * p.in_w * p.in_h);
  uint group_in = p.in_c / p.groups, group_out = p.out_c / p.groups, group = c / group_in, ci = c - group * group_in;
  float sum = 0.0;
  for (uint r = 0; r < p.filter_h; ++r)
    for (uint s = 0; s < p.filter_w; ++s) {
      int ty = int(iy) + p.pad_y - int(r) * p.dilation_y, tx = int(ix) + p.pad_x - int(s) * p.dilation_x;
      if (ty < 0 || tx < 0 || ty % p.stride_y != 0 || tx % p.stride_x != 0) continue;
      uint oy = uint(ty / p.stride_y), ox = uint(tx / p.stride_x);
      if (oy >= p.out_h || ox >= p.out_w) continue;
      uint at = ((n * p.out_h + oy) * p.out_w + ox) * p.out_c + group * group_out;
      uint filter_row = ((r * p.filter_w + s) * group_in + ci) * p.out_c + group * group_out;
      for (uint co = 0; co < group_out; ++co) sum = fma(float(dy[at + co]), float(w[filter_row + co]), sum);
    }
  dx[i] = STORE1(sum);
}
