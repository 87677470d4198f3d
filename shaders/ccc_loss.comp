// y[0] = 1 - ccc, and what the gradient needs: slopes = {mean_y, cov / D, 2 / (n D), 0}; both 0 where D is 0. See graph/ops/ccc.cpp.
//   0 prediction, 1 target, 2 mask   f32, one shape, seen flat;  3 y [1];  4 slopes [4]
// One workgroup; an invocation sums every size-th element, then a tree. Moments about the means, which come first.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
#include "workgroup_sum.glsl"
layout(push_constant) uniform Push { Mse push; };
INPUT1_F32(0, prediction);
INPUT1_F32(1, target);
INPUT1_F32(2, mask);
OUTPUT1_F32(3, y);
OUTPUT1_F32(4, slopes);

void main() {
  vec2 sums = vec2(0.0), more = vec2(0.0);
  for (uint i = gl_LocalInvocationID.x; i < push.count; i += gl_WorkGroupSize.x) {
    sums += mask[i] * vec2(prediction[i], target[i]);
    more.x += mask[i];
  }
  sums = workgroup_sum(sums);
  barrier();  // all have read the sum before the next begins
  more = workgroup_sum(more);
  barrier();
  const float n = more.x;
  const vec2 mean = n > 0.0 ? sums / n : vec2(0.0);
  vec2 variances = vec2(0.0), covariance = vec2(0.0);
  for (uint i = gl_LocalInvocationID.x; i < push.count; i += gl_WorkGroupSize.x) {
    const vec2 d = vec2(prediction[i], target[i]) - mean;
    variances += mask[i] * d * d;
    covariance.x += mask[i] * d.x * d.y;
  }
  variances = workgroup_sum(variances);
  barrier();
  covariance = workgroup_sum(covariance);
  if (gl_LocalInvocationID.x != 0) return;
  const float apart = mean.x - mean.y;
  const float whole = n > 0.0 ? (variances.x + variances.y) / n + apart * apart : 0.0;
  const float cov = n > 0.0 ? covariance.x / n : 0.0;
  const bool defined = whole > 0.0;
  y[0] = defined ? 1.0 - 2.0 * cov / whole : 0.0;
  slopes[0] = mean.y;
  slopes[1] = defined ? cov / whole : 0.0;
  slopes[2] = defined ? 2.0 / (n * whole) : 0.0;
  slopes[3] = 0.0;
}
