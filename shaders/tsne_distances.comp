// D[i,j] = squared distance of points i and j: no |a|^2 + |b|^2 - 2ab, in which near points cancel.
//   0 x f32 [d,N], seen as vec4 and as floats, 1 D f32 [rows,N]: rows [first, first + rows) of the matrix
// An invocation makes 4 columns of a row; sums in blocks of 32.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "tsne.h"
layout(push_constant) uniform Push { Affinities push; };
layout(set = 0, binding = 0, std430) readonly buffer Vectors { vec4 x4[]; };
layout(set = 0, binding = 0, std430) readonly buffer Scalars { float x1[]; };
OUTPUT4_F32(1, distances);

void main() {
  const uint unit = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (unit >= push.rows * push.vectors) return;
  const uint row = divide(unit, push.by_vectors), column = unit - row * push.vectors, i = push.first + row;
  vec4 total = vec4(0.0), block = vec4(0.0);
  for (uint k = 0; k < push.dimensions; ++k) {
    const vec4 difference = x4[k * push.vectors + column] - x1[k * 4 * push.vectors + i];
    block += difference * difference;
    if ((k & 31u) == 31u) total += block, block = vec4(0.0);
  }
  distances[unit] = total + block;
}
