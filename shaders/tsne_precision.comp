// For every point i the precision b for which the entropy of p(j|i) = exp(-b (D[i,j] - m)) / S is the wanted one, by bisection.
// m is the least distance: it makes the largest term 1, so that S is at least 1 however large the distances are.
//   0 D f32 [rows,N], 1 result f32 [3,N]: b, m, S
// A workgroup finds one row's; an invocation takes every size-th vec4 of it.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "tsne.h"
#include "math.glsl"
#include "workgroup_sum.glsl"
layout(push_constant) uniform Push { Affinities push; };
INPUT4_F32(0, distances);
OUTPUT1_F32(1, result);
shared float workgroup_least[gl_WorkGroupSize.x];

const uint kMostSteps = 100;       // as scikit-learn
const float kTolerance = 1e-5;     // of the entropy

// Which of the 4 columns are other points.
bvec4 others(uint column, uint i) {
  const uvec4 j = 4 * column + uvec4(0, 1, 2, 3);
  return bvec4(uvec4(lessThan(j, uvec4(push.points))) * uvec4(notEqual(j, uvec4(i))));
}

float least_of_row(uint first, uint i) {
  float least = infinity();
  for (uint c = gl_LocalInvocationID.x; c < push.vectors; c += gl_WorkGroupSize.x) {
    const vec4 d = mix(vec4(infinity()), distances[first + c], others(c, i));
    least = min(least, min(min(d.x, d.y), min(d.z, d.w)));
  }
  workgroup_least[gl_LocalInvocationID.x] = least;
  for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
    barrier();
    if (gl_LocalInvocationID.x < half_size)
      workgroup_least[gl_LocalInvocationID.x] = min(workgroup_least[gl_LocalInvocationID.x], workgroup_least[gl_LocalInvocationID.x + half_size]);
  }
  barrier();
  return workgroup_least[0];
}

void main() {
  const uint row = linear_group();
  if (row >= push.rows) return;
  const uint i = push.first + row, first = row * push.vectors;
  const float m = least_of_row(first, i);
  float precision_ = 1.0, low = 0.0, high = infinity();
  vec2 sums = vec2(0.0);           // S, and the sum of b (D - m) exp(-b (D - m))
  for (uint n = 0; n < kMostSteps; ++n) {
    vec2 mine = vec2(0.0);
    for (uint c = gl_LocalInvocationID.x; c < push.vectors; c += gl_WorkGroupSize.x) {
      const vec4 e = precision_ * max(distances[first + c] - m, vec4(0.0));
      const vec4 p = mix(vec4(0.0), vec4(exp_of(-e.x), exp_of(-e.y), exp_of(-e.z), exp_of(-e.w)), others(c, i));
      mine += vec2(dot(p, vec4(1.0)), dot(mix(vec4(0.0), e, greaterThan(p, vec4(0.0))), p));
    }
    sums = workgroup_sum(mine);
    barrier();                     // everyone has read the sum before the next is made
    const float excess = log_of(sums.x) + sums.y / sums.x - push.entropy;
    if (abs(excess) <= kTolerance || n + 1 == kMostSteps) break;
    if (excess > 0.0) {
      low = precision_;
      precision_ = is_inf(high) ? 2.0 * precision_ : 0.5 * (precision_ + high);
    } else {
      high = precision_;
      precision_ = low == 0.0 ? 0.5 * precision_ : 0.5 * (precision_ + low);
    }
  }
  if (gl_LocalInvocationID.x == 0) {
    const uint plane = 4 * push.vectors;
    result[i] = precision_;
    result[plane + i] = m;
    result[2 * plane + i] = sums.x;
  }
}
