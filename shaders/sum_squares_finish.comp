// total[0] = (kEarlier ? earlier[0] : 0) + sum of partial: an invocation adds every size-th in blocks of 64, then a tree.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "gradient_norm.h"
#include "workgroup_sum.glsl"
layout(constant_id = 1) const bool kEarlier = false;
layout(push_constant) uniform Params { SumSquares push; };
INPUT1_F32(0, partial);
INPUT1_F32(1, earlier);
OUTPUT1_F32(2, total);
const uint kBlock = 64;

void main() {
  float sum = 0.0, block = 0.0;
  uint in_block = 0;
  for (uint i = gl_LocalInvocationID.x; i < push.groups; i += gl_WorkGroupSize.x) {
    block += partial[i];
    if (++in_block == kBlock) sum += block, block = 0.0, in_block = 0;
  }
  const vec2 all = workgroup_sum(vec2(sum + block, 0.0));
  if (gl_LocalInvocationID.x == 0) total[0] = (kEarlier ? earlier[0] : 0.0) + all.x;
}
