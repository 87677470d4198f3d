// partial[group] = sum of x^2 over the workgroup's elements: each invocation its own, then a tree.
//   0 x f32, packed;  1 ranges;  2 partial, one for each workgroup
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pack.h"
#include "gradient_norm.h"
#include "workgroup_sum.glsl"
layout(push_constant) uniform Params { SumSquares push; };
#include "pack.glsl"
PACK_INPUT(0, x)
PACK_RANGES(1)
OUTPUT1_F32(2, partial);

void main() {
  const uint group = linear_group();
  if (group >= push.groups) return;
  const PackRange range = pack_range(group);
  vec4 sum = vec4(0.0);
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = pack_vector(range, group, v);
    if (4 * i < range.count) {
      const vec4 value = load_x(range.first_vector + i, range.count - 4 * i);
      sum = fma(value, value, sum);
    }
  }
  const vec2 all = workgroup_sum(vec2((sum.x + sum.y) + (sum.z + sum.w), 0.0));
  if (gl_LocalInvocationID.x == 0) partial[push.first_group + group] = all.x;
}
