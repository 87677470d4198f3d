// y[outer, j, inner] = x[outer, index[j], inner] (kMode 0); dx[outer, k, inner] = sum of dy[outer, j, inner] where index[j] is k (1);
// y[outer, k, inner] = on where index[outer, inner] is k, else off (2); running sums along n (3, kExclusive, kReverse).
//   0 x, 1 indices i32 (of 3: x again), 2 y   32-bit words
// An invocation makes one element; of running sums one line.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.h"
layout(constant_id = 1) const uint kMode = 0;
layout(constant_id = 2) const uint kExclusive = 0;
layout(constant_id = 3) const uint kReverse = 0;
layout(push_constant) uniform Push { Lines push; };
INPUT1_U32(0, x);
INPUT1_I32(1, indices);
OUTPUT1_U32(2, y);

uint wrapped(int index, uint n) { return uint(clamp(index < 0 ? index + int(n) : index, 0, int(n) - 1)); }

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const uint inner = push.by_inner.value, line = divide(i, push.by_inner), at = i - line * inner;
  if (kMode == 3) {
    float total = 0.0, block = 0.0;
    for (uint k = 0; k < push.n; ++k) {
      const uint place = (line * push.n + (kReverse != 0 ? push.n - 1 - k : k)) * inner + at;
      const float before = total + block;
      block += uintBitsToFloat(x[place]);
      y[place] = floatBitsToUint(kExclusive != 0 ? before : total + block);
      if ((k & 31u) == 31u) total += block, block = 0.0;
    }
    return;
  }
  const uint outer = divide(line, push.by_m), j = line - outer * push.m;
  if (kMode == 0) {
    y[i] = x[(outer * push.n + wrapped(indices[j], push.n)) * inner + at];
  } else if (kMode == 1) {
    float total = 0.0;
    for (uint k = 0; k < push.n; ++k)
      if (wrapped(indices[k], push.m) == j) total += uintBitsToFloat(x[(outer * push.n + k) * inner + at]);
    y[i] = floatBitsToUint(total);
  } else {
    const int index = indices[outer * inner + at];
    y[i] = floatBitsToUint((index < 0 ? index + int(push.m) : index) == int(j) ? push.on : push.off);
  }
}
