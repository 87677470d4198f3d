//! variants: f32 f16
#version 450
// Gradient of the plain convolution's filter, direct engine.
//
//   partial[slice][r][s][ci][co] = sum over the output lines (n, oy) of the slice and ox of x[n, oy*stride - pad + r*dilation, ..., ci] * dy[n, oy, ox, co]
// One invocation computes one element of one slice, line after line; sum_slices.comp adds the slices. Slices keep long sums accurate
// and loops short: lavapipe ends an invocation's loops after 65,535 turns in all, without a word.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/conv.h"

INPUT1(0, x);
INPUT1(1, dy);
OUTPUT1_F32(2, partial);
layout(push_constant) uniform Push { ConvDirect p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
  uint group_in = p.in_c / p.groups, elements = p.filter_h * p.filter_w * group_in * p.out_c, slice = i / elements, e = i - slice * elements;
  uint co = e % p.out_c, c = e / p.out_c % group_in, tap = e / (p.out_c * group_in);
  uint r = tap / p.filter_w, s = tap - r * p.filter_w;
  uint ci = co / (p.out_c / p.groups) * group_in + c;
  float sum = 0.0;
  for (uint line = slice * p.slice_lines; line < min((slice + 1u) * p.slice_lines, p.n * p.out_h); ++line) {
    uint n = line / p.out_h;
    int iy = int(line - n * p.out_h) * p.stride_y - p.pad_y + int(r) * p.dilation_y;
    if (uint(iy) >= p.in_h) continue;
    float row = 0.0;
    for (uint ox = 0; ox < p.out_w; ++ox) {
      int ix = int(ox) * p.stride_x - p.pad_x + int(s) * p.dilation_x;
      if (uint(ix) >= p.in_w) continue;
      row = fma(float(x[((n * p.in_h + uint(iy)) * p.in_w + uint(ix)) * p.in_c + ci]), float(dy[(line * p.out_w + ox) * p.out_c + co]), row);
    }
    sum += row;
  }
  partial[p.first_slice * elements + i] = sum;
}
