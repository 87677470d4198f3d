//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Batch normalisation, statistics of one slice of rows: mean[slice][c], m2[slice][c] = sum (x - mean)^2, size[slice] = its rows.
// x [rows, c]. An invocation takes four channels of one slice. The sums run over x - x[first row], so that
// E[x^2] - E[x]^2 does not cancel; batch_norm_finish.comp combines the slices (Chan et al., 1979).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "channels.glsl"
#include "params/batch_norm.h"

CHANNELS_IN(0, x);
CHANNELS_OUT_F32(1, mean);
CHANNELS_OUT_F32(2, m2);
OUTPUT1_F32(3, size);
layout(push_constant) uniform Push { BatchNorm p; };

void main() {
  uint id = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (id >= p.count) return;
  uint blocks = CHANNEL_BLOCKS(p.c), c = id % blocks, slice = id / blocks;
  uint first = slice * p.rows_per_slice, last = min(first + p.rows_per_slice, p.rows);
  vec4 shift = LOADC(x, first, c, p.c), sum = vec4(0.0), squares = vec4(0.0);
  for (uint row = first; row < last; ++row) {
    vec4 d = LOADC(x, row, c, p.c) - shift;
    sum += d;
    squares = fma(d, d, squares);
  }
  float n = float(last - first);
  STOREC_F32(mean, p.first_slice + slice, c, p.c, shift + sum / n);
  STOREC_F32(m2, p.first_slice + slice, c, p.c, max(squares - sum * sum / n, 0.0));
  if (c == 0) size[p.first_slice + slice] = n;
}
