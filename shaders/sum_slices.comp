//! variants: f32
#version 450
// out[i] = sum over s of partial[s * stride + i], in the order of s: the second pass of every reduction split into slices.
// partial f32 [slices, stride], out f32 [count]. One invocation adds up one element.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/conv.h"

INPUT1_F32(0, partial);
OUTPUT1_F32(1, result);
layout(push_constant) uniform Push { SumSlices p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
  float sum = 0.0;
  for (uint s = 0; s < p.slices; ++s) sum += partial[s * p.stride + i];
  result[i] = sum;
}
