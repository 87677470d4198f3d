// sums = old + {sum(mask), sum(mask * (prediction - target)^2)}; kFinite: differences that are no finite number are left out.
//   0 prediction, 1 target, 2 mask   f32, one shape, seen flat;  3 old [2], 4 sums [2]: may be one storage
// One workgroup; an invocation sums every size-th element, then a tree.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "finite.glsl"
#include "loss.h"
#include "workgroup_sum.glsl"
layout(constant_id = 1) const bool kFinite = false;
layout(push_constant) uniform Push { Mse push; };
INPUT1_F32(0, prediction);
INPUT1_F32(1, target);
INPUT1_F32(2, mask);
INPUT1_F32(3, old);
OUTPUT1_F32(4, sums);

void main() {
  vec2 sum = vec2(0.0);  // mask, squared error
  for (uint i = gl_LocalInvocationID.x; i < push.count; i += gl_WorkGroupSize.x) {
    const float difference = prediction[i] - target[i];
    const bool counts = !kFinite || is_finite(difference);
    if (counts) sum += vec2(mask[i], mask[i] * difference * difference);
  }
  sum = workgroup_sum(sum);
  if (gl_LocalInvocationID.x == 0) {
    sums[0] = old[0] + sum.x;
    sums[1] = old[1] + sum.y;
  }
}
