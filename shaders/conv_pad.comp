//! variants: f32 f16
#version 450
// Copies images into a border of zeros, so that a convolution needs no test of the edge (conv_rows.comp with kRuns).
//
//   out[n, oy, i] = x[n, oy - pad_y, i - pad_line], or 0 outside;  x [n, in_h, in_w * c], out [n, out_h, out_w * c]
//
// A workgroup copies a line.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "divide.glsl"
#include "params/conv.h"

INPUT1(0, x);
OUTPUT1(1, result);
layout(push_constant) uniform Push { ConvPad p; };

void main() {
  uint line = linear_group();
  if (line >= p.lines) return;
  uint image = divide(line, p.out_h, p.inverse_h);
  int iy = int(line - image * p.out_h) - p.pad_y;
  uint from = (image * p.in_h + uint(iy)) * p.in_line;
  bool inside = uint(iy) < p.in_h;
  for (uint i = gl_LocalInvocationID.x; i < p.out_line; i += gl_WorkGroupSize.x) {
    uint j = i - uint(p.pad_line);
    float v = 0.0;
    if (inside && j < p.in_line) v = LOAD1(x, from + j);
    result[line * p.out_line + i] = STORE1(v);
  }
}
