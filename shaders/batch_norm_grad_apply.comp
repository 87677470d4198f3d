//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Gradient of batch normalisation, second pass:
//   dx = gamma * invstd * (g - dbeta / n - xhat * dgamma / n)     batch statistics (Ioffe and Szegedy, 2015)
//   dx = gamma * invstd * g                                        running statistics
//   dresidual = g
// An invocation takes four channels of a chunk of rows_per_slice rows.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"
#include "batch_norm_grad.glsl"

layout(constant_id = 4) const bool kGradResidual = false;

CHANNELS_IN_F32(7, dgamma);
CHANNELS_IN_F32(8, dbeta);
CHANNELS_OUT(9, dx);
CHANNELS_OUT(10, dresidual);
layout(push_constant) uniform Push { BatchNorm p; };

void main() {
  uint id = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (id >= p.count) return;
  uint blocks = CHANNEL_BLOCKS(p.c), c = id % blocks, first = id / blocks * p.rows_per_slice;
  Channel k = load_channel(c, p.c, p.eps);
  vec4 factor = k.gamma * k.invstd, mean_g = vec4(0.0), mean_product = vec4(0.0), xhat;
  if (!kVariance) {
    mean_g = LOADC_F32(dbeta, 0u, c, p.c) * p.inverse_rows;
    mean_product = LOADC_F32(dgamma, 0u, c, p.c) * p.inverse_rows;
  }
  for (uint row = first; row < min(first + p.rows_per_slice, p.rows); ++row) {
    vec4 g = gradient_at(row, c, p.c, k, xhat);
    STOREC(dx, row, c, p.c, factor * (g - mean_g - xhat * mean_product));
    if (kGradResidual) STOREC(dresidual, row, c, p.c, g);
  }
}
