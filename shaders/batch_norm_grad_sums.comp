//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Gradient of batch normalisation, first pass: dbeta[slice][c] = sum g, dgamma[slice][c] = sum g * xhat over the slice's rows.
// An invocation takes four channels of one slice.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"
#include "batch_norm_grad.glsl"

CHANNELS_OUT_F32(7, dgamma);
CHANNELS_OUT_F32(8, dbeta);
layout(push_constant) uniform Push { BatchNorm p; };

void main() {
  uint id = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (id >= p.count) return;
  uint blocks = CHANNEL_BLOCKS(p.c), c = id % blocks, slice = id / blocks;
  Channel k = load_channel(c, p.c, p.eps);
  uint first = slice * p.rows_per_slice, last = min(first + p.rows_per_slice, p.rows);
  vec4 sum = vec4(0.0), product = vec4(0.0), xhat;
  for (uint row = first; row < last; ++row) {
    vec4 g = gradient_at(row, c, p.c, k, xhat);
    sum += g;
    product = fma(g, xhat, product);
  }
  STOREC_F32(dgamma, p.first_slice + slice, c, p.c, product);
  STOREC_F32(dbeta, p.first_slice + slice, c, p.c, sum);
}
