//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// y = activation((x - mean) * (gamma * invstd) + beta + residual)
// x, residual, y [rows, c]; the rest f32 [c]. An invocation takes four channels of a chunk of rows_per_slice rows.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"

layout(constant_id = 1) const bool kVariance = false;  // `spread` is the variance, not 1/sqrt(variance + eps)
layout(constant_id = 2) const bool kResidual = false;
layout(constant_id = 3) const uint kActivation = 0;

CHANNELS_IN(0, x);
CHANNELS_IN_F32(1, gamma);
CHANNELS_IN_F32(2, beta);
CHANNELS_IN_F32(3, mean);
CHANNELS_IN_F32(4, spread);
CHANNELS_IN(5, residual);
CHANNELS_OUT(6, y);
layout(push_constant) uniform Push { BatchNorm p; };

void main() {
  uint id = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (id >= p.count) return;
  uint blocks = CHANNEL_BLOCKS(p.c), c = id % blocks, first = id / blocks * p.rows_per_slice;
  vec4 m = LOADC_F32(mean, 0u, c, p.c), offset = LOADC_F32(beta, 0u, c, p.c), s = LOADC_F32(spread, 0u, c, p.c);
  vec4 factor = LOADC_F32(gamma, 0u, c, p.c) * (kVariance ? 1.0 / sqrt(s + p.eps) : s);
  for (uint row = first; row < min(first + p.rows_per_slice, p.rows); ++row) {
    vec4 v = fma(LOADC(x, row, c, p.c) - m, factor, offset);
    if (kResidual) v += LOADC(residual, row, c, p.c);
    STOREC(y, row, c, p.c, activate(kActivation, v));
  }
}
