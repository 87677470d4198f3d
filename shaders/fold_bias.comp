//! variants: f32
#version 450
// out[co] = beta[co] + (bias[co] - mean[co]) * gamma[co] / sqrt(var[co] + eps)
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "params/batch_norm.h"

layout(constant_id = 1) const bool kBias = false;

INPUT1_F32(0, gamma);
INPUT1_F32(1, beta);
INPUT1_F32(2, mean);
INPUT1_F32(3, var);
INPUT1_F32(4, bias);
OUTPUT1_F32(5, result);
layout(push_constant) uniform Push { Fold p; };

void main() {
  uint c = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (c >= p.c) return;
  result[c] = fma((kBias ? bias[c] : 0.0) - mean[c], gamma[c] / sqrt(var[c] + p.eps), beta[c]);
}
