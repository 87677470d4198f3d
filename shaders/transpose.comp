//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// out[t][j][i] = in[t][i][j]: filters [taps, rows, columns] -> [taps, columns, rows]. One invocation moves a block of 4x4; in the
// scalar variant, for sizes that are no multiple of four, an element.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/conv.h"

#ifdef SCALAR
INPUT1(0, a);
OUTPUT1(1, result);
#else
INPUT4(0, a);
OUTPUT4(1, result);
#endif
layout(push_constant) uniform Push { Transpose p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
#ifdef SCALAR
  uint row = i % p.rows, column = i / p.rows % p.columns, tap = i / (p.rows * p.columns);
  result[i] = a[(tap * p.rows + row) * p.columns + column];
#else
  uint rows = p.rows / 4u, columns = p.columns / 4u;
  uint line = i / columns, column = i - line * columns, tap = line / rows, row = line - tap * rows;
  vec4 v[4];
  [[unroll]] for (uint k = 0; k < 4; ++k) v[k] = LOAD4(a, (4u * line + k) * columns + column);
  uint to = (tap * p.columns + 4u * column) * rows + row;
  [[unroll]] for (uint k = 0; k < 4; ++k) result[to + k * rows] = STORE4(vec4(v[0][k], v[1][k], v[2][k], v[3][k]));
#endif
}
