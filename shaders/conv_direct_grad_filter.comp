//! variants: f32 f16
#version 450
// Gradient of the plain convolution's filter, direct engine.
//
//   dfilter[r][s][ci][co] = sum over n, oy, ox of x[n, oy*stride - pad + r*dilation, ..., ci] * dy[n, oy, ox, co]       (f32)
// One invocation computes one element, row after row: the sums of the rows are added up, so that long sums stay accurate.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/conv.h"

INPUT1(0, x);
INPUT1(1, dy);
OUTPUT1_F32(2, dfilter);
layout(push_constant) uniform Push { ConvDirect p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
  uint group_in = p.in_c / p.groups;
  uint co = i % p.out_c, c = i / p.out_c % group_in, tap = i / (p.out_c * group_in);
  uint r = tap / p.filter_w, s = tap - r * p.filter_w;
  uint ci = co / (p.out_c / p.groups) * group_in + c;
  float sum = 0.0;
  for (uint n = 0; n < p.n; ++n)
    for (uint oy = 0; oy < p.out_h; ++oy) {
      int iy = int(oy) * p.stride_y - p.pad_y + int(r) * p.dilation_y;
      if (uint(iy) >= p.in_h) continue;
      float row = 0.0;
      for (uint ox = 0; ox < p.out_w; ++ox) {
        int ix = int(ox) * p.stride_x - p.pad_x + int(s) * p.dilation_x;
        if (uint(ix) >= p.in_w) continue;
        row = fma(float(x[((n * p.in_h + uint(iy)) * p.in_w + uint(ix)) * p.in_c + ci]),
                  float(dy[((n * p.out_h + oy) * p.out_w + ox) * p.out_c + co]), row);
      }
      sum += row;
    }
  dfilter[i] = sum;
}
