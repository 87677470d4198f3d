//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// partial[slice][c] = sum over the rows of the slice of x[row, c]; sum_slices.comp adds the slices in order.
// x [rows, c], partial f32 [slices, c]. An invocation sums four channels of one slice.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "params/conv.h"

CHANNELS_IN(0, x);
CHANNELS_OUT_F32(1, partial);
layout(push_constant) uniform Push { ChannelSum p; };

void main() {
  uint id = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (id >= p.count) return;
  uint blocks = CHANNEL_BLOCKS(p.c);
  uint c = id % blocks, slice = id / blocks;
  uint first = slice * p.rows_per_slice, last = min(first + p.rows_per_slice, p.rows);
  vec4 sum = vec4(0.0);
  for (uint row = first; row < last; ++row) sum += LOADC(x, row, c, p.c);
  STOREC_F32(partial, p.first_slice + slice, c, p.c, sum);
}
