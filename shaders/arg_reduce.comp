// y[outer, inner] = the place of the largest (kLeast: smallest) element of x[outer, :, inner]; of equal ones the first, or the last.
//   0 x [outer, n, inner] f32 or i32 (kInteger), 1 y i32 [outer, inner]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.h"
layout(constant_id = 1) const uint kLeastFirst = 0;
layout(constant_id = 2) const uint kSelectLast = 0;
layout(constant_id = 3) const uint kInteger = 0;
layout(push_constant) uniform Push { Lines push; };
INPUT1_U32(0, x);
OUTPUT1_U32(1, y);

bool beats(uint a, uint b) {
  if (kLeastFirst != 0) { const uint t = a; a = b; b = t; }
  const bool greater = kInteger != 0 ? int(a) > int(b) : uintBitsToFloat(a) > uintBitsToFloat(b);
  const bool equal = kInteger != 0 ? a == b : uintBitsToFloat(a) == uintBitsToFloat(b);
  return greater || (kSelectLast != 0 && equal);
}

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const uint inner = push.by_inner.value, outer = divide(i, push.by_inner), first = outer * push.n * inner + (i - outer * inner);
  uint best = 0, value = x[first];
  for (uint e = 1; e < push.n; ++e) {
    const uint v = x[first + e * inner];
    if (beats(v, value)) value = v, best = e;
  }
  y[i] = best;
}
