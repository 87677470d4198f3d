// y[batch, m, n] = sum over k of a[batch, m, k] b[batch, k, n], with broadcast batches. Plain: large products take the convolutions'
// kernels (graph/ops/matmul.cpp).
//   0 a, 1 b, 2 y   f32, 3 batch dimensions: strides of a and b
// An invocation makes 4 columns of a row (kFour), or 1; sums are made in blocks of 32.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "strided.h"
#include "strided.glsl"
#include "reduce.h"
layout(constant_id = 1) const uint kFour = 1;
layout(push_constant) uniform Push { Product push; };
WORDS(0, a)
WORDS(1, b)
WORDS_OUT(2, y)
STRIDED_TABLE(3)
#include "place.glsl"

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const uint row_of_all = divide(i, push.by_units), unit = i - row_of_all * push.by_units.value;
  const uint batch = divide(row_of_all, push.by_m), row = row_of_all - batch * push.m;
  const ivec3 at = place(batch, push.rank);
  const uint row_a = uint(at.x) + row * push.k, column_b = uint(at.y) + unit * (kFour != 0 ? 4 : 1);
  vec4 total = vec4(0.0), block = vec4(0.0);
  for (uint k = 0; k < push.k; ++k) {
    const uint from = column_b + k * push.n;
    const vec4 v = uintBitsToFloat(kFour != 0 ? b4[from / 4] : uvec4(b1[from]));
    block += uintBitsToFloat(a1[row_a + k]) * v;
    if ((k & 31u) == 31u) total += block, block = vec4(0.0);
  }
  const uvec4 result = floatBitsToUint(total + block);
  if (kFour != 0) y4[i] = result;
  else y1[i] = result.x;
}
