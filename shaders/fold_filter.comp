//! variants: f32 f16
#version 450
// out[..., co] = filter[..., co] * gamma[co] / sqrt(var[co] + eps): batch normalisation folded into the convolution before it.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/batch_norm.h"

INPUT1(0, w);
INPUT1_F32(1, gamma);
INPUT1_F32(2, var);
OUTPUT1(3, result);
layout(push_constant) uniform Push { Fold p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
  uint c = i % p.c;
  result[i] = STORE1(float(w[i]) * (gamma[c] / sqrt(var[c] + p.eps)));
}
