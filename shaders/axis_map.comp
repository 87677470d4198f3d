// y[outer, j, inner] = offset[j] + sum over the entries e of row j of weight[e] * x[outer, index[e], inner]: a dimension is resized, or
// padded by its own elements. The rows come from the host.
//   0 x f32 [outer, n, inner], 1 y f32 [outer, m, inner], 2 rows: {first entry, end, offset} m times, then {index, weight} of every entry
// An invocation makes 4 elements along inner (kFour), or 1.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "strided.h"
#include "strided.glsl"
#include "reduce.h"
layout(constant_id = 1) const uint kFour = 1;
layout(push_constant) uniform Push { Lines push; };
WORDS(0, x)
WORDS_OUT(1, y)
INPUT1_U32(2, rows);

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const uint inner = push.by_inner.value, line = divide(i, push.by_inner), outer = divide(line, push.by_m), j = line - outer * push.m;
  const uint first = outer * push.n * inner + (i - line * inner);
  vec4 total = vec4(uintBitsToFloat(rows[3 * j + 2]));
  for (uint e = rows[3 * j]; e < rows[3 * j + 1]; ++e) {
    const uint at = first + rows[3 * push.m + 2 * e] * inner;
    total += uintBitsToFloat(rows[3 * push.m + 2 * e + 1]) * uintBitsToFloat(kFour != 0 ? x4[at] : uvec4(x1[at]));
  }
  if (kFour != 0) y4[i] = floatBitsToUint(total);
  else y1[i] = floatBitsToUint(total.x);
}
