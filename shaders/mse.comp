// y[0] = sum(mask * (prediction - target)^2) / n, where n is sum(mask), or 1 where that is 0      kCount: y[0] = 1 / n
//   0 prediction, 1 target (kCount reads neither), 2 mask   f32, one shape, seen flat;  3 y [1]
// One workgroup; an invocation sums every size-th element, then a tree.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
#include "workgroup_sum.glsl"
layout(constant_id = 1) const uint kCount = 0;
layout(push_constant) uniform Push { Mse push; };
INPUT1_F32(0, prediction);
INPUT1_F32(1, target);
INPUT1_F32(2, mask);
OUTPUT1_F32(3, y);

void main() {
  vec2 sum = vec2(0.0);  // squared error, mask
  for (uint i = gl_LocalInvocationID.x; i < push.count; i += gl_WorkGroupSize.x) {
    const float difference = kCount != 0 ? 0.0 : prediction[i] - target[i];
    sum += vec2(mask[i] * difference * difference, mask[i]);
  }
  sum = workgroup_sum(sum);
  if (gl_LocalInvocationID.x == 0) y[0] = (kCount != 0 ? 1.0 : sum.x) / (sum.y > 0.0 ? sum.y : 1.0);
}
