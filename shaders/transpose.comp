//! variants: f32 f16
#version 450
// out[t][j][i] = in[t][i][j]: filters [taps, rows, columns] -> [taps, columns, rows]. One invocation moves one element.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/conv.h"

INPUT1(0, a);
OUTPUT1(1, result);
layout(push_constant) uniform Push { Transpose p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
  uint row = i % p.rows, column = i / p.rows % p.columns, tap = i / (p.rows * p.columns);
  result[i] = a[(tap * p.rows + row) * p.columns + column];
}
