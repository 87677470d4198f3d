// y[row,c] = exp(x[row,c]) / sum_k exp(x[row,k])
//   0 x, 1 y   f32 [rows, classes]
// An invocation handles one row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
layout(push_constant) uniform Push { Rows push; };
INPUT1_F32(0, x);
OUTPUT1_F32(1, y);
#include "softmax.glsl"

void main() {
  const uint row = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (row >= push.rows) return;
  const SoftmaxRow r = softmax_row(row, push.classes);
  for (uint c = 0; c < push.classes; ++c) y[r.first + c] = probability(r, c);
}
