// y = exp(x - max) / sum of exp(x - max) along a dimension, or (kLog) x - max - log of the sum.
//   0 x, 1 y   f32 [outer, n, inner]
// An invocation makes one line; the sum in blocks of 32.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "reduce.h"
layout(constant_id = 1) const uint kLog = 0;
layout(push_constant) uniform Push { Lines push; };
INPUT1_F32(0, x);
OUTPUT1_F32(1, y);

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const uint inner = push.by_inner.value, outer = divide(i, push.by_inner), first = outer * push.n * inner + (i - outer * inner);
  float most = -infinity();
  for (uint e = 0; e < push.n; ++e) most = max(most, x[first + e * inner]);
  float total = 0.0, block = 0.0;
  for (uint e = 0; e < push.n; ++e) {
    block += exp_of(x[first + e * inner] - most);
    if ((e & 31u) == 31u) total += block, block = 0.0;
  }
  total += block;
  const float shift = kLog != 0 ? log_of(total) : 0.0;
  for (uint e = 0; e < push.n; ++e) {
    const uint at = first + e * inner;
    y[at] = kLog != 0 ? x[at] - most - shift : exp_of(x[at] - most) / total;
  }
}
