//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Second pass of a convolution whose inner dimension was cut into slices, so that a few outputs fill the device.
//
//   y[q, co] = activation( sum over slices s of partial[s][q, co] + bias[co] + residual[q, co] )
//   partial f32 [slices, rows, out_c]; one invocation computes four channels, slice after slice: the same bits on every run.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "conv_finish.glsl"

CHANNELS_IN_F32(0, partial);

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x, blocks = CHANNEL_BLOCKS(p.out_c);
  if (i >= p.rows * blocks) return;
  uint q = i / blocks, column = i - q * blocks;
  vec4 sum = vec4(0.0);
  for (uint s = 0; s < p.slices; ++s) sum += LOADC_F32(partial, s * p.rows + q, column, p.out_c);
  finish(q, column, sum);
}
