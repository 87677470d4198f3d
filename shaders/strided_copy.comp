// Moves 32-bit elements from and to any strides: transposing, slicing, expanding, joining; or fills with a value (kFill).
//   0 x, 1 y, 2 dimensions: strides of x (a) and of y (b)
// An invocation handles per_invocation units of 4 elements along the innermost dimension (kFour: y's lie side by side), or of 1.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "strided.h"
#include "strided.glsl"
#include "functions.h"
layout(constant_id = 1) const uint kFour = 1;
layout(constant_id = 2) const uint kPacked = 1;   // x's units of 4 lie side by side too
layout(constant_id = 3) const uint kFill = 0;
layout(push_constant) uniform Push { Strided push; };
WORDS(0, x)
WORDS_OUT(1, y)
STRIDED_TABLE(2)
#include "place.glsl"

uvec4 fetch(int at) {
  if (kFill != 0) return uvec4(push.value);
  if (kFour == 0) return uvec4(x1[at]);
  if (kPacked != 0) return x4[at / 4];
  const int step = dims[0].a;
  return uvec4(x1[at], x1[at + step], x1[at + 2 * step], x1[at + 3 * step]);
}

void main() {
  for (uint k = 0; k < push.per_invocation; ++k) {
    const uint i = (linear_group() * push.per_invocation + k) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= push.units) return;
    const ivec3 at = place(kFour != 0 ? 4 * i : i, push.rank);
    const uvec4 v = fetch(at.x + push.first_a);
    const int to = at.y + push.first_b;
    if (kFour != 0) y4[to / 4] = v;
    else y1[to] = v.x;
  }
}
