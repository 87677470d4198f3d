// P[i,j] = (p(j|i) + p(i|j)) / 2n, written over the distances; 0 on the diagonal and in the padding.
//   0 D, then P, f32 [rows,N]; 1 f32 [3,N] of tsne_precision.comp, seen as vec4 and as floats
// An invocation makes 4 columns of a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "tsne.h"
#include "math.glsl"
layout(push_constant) uniform Push { Affinities push; };
layout(set = 0, binding = 0, std430) buffer Matrix { vec4 matrix[]; };
layout(set = 0, binding = 1, std430) readonly buffer Vectors { vec4 found4[]; };
layout(set = 0, binding = 1, std430) readonly buffer Scalars { float found1[]; };

vec4 exponentials(vec4 e) { return vec4(exp_of(-e.x), exp_of(-e.y), exp_of(-e.z), exp_of(-e.w)); }

void main() {
  const uint unit = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (unit >= push.rows * push.vectors) return;
  const uint row = divide(unit, push.by_vectors), column = unit - row * push.vectors, i = push.first + row, plane = 4 * push.vectors;
  const uvec4 j = 4 * column + uvec4(0, 1, 2, 3);
  const bvec4 is_pair = bvec4(uvec4(lessThan(j, uvec4(push.points))) * uvec4(notEqual(j, uvec4(i))) * uint(i < push.points));
  const vec4 d = matrix[unit];
  const vec4 of_row = exponentials(found1[i] * max(d - found1[plane + i], vec4(0.0))) / found1[2 * plane + i];
  const vec4 of_column = exponentials(found4[column] * max(d - found4[push.vectors + column], vec4(0.0))) / found4[2 * push.vectors + column];
  matrix[unit] = mix(vec4(0.0), (of_row + of_column) * push.factor, is_pair);
}
