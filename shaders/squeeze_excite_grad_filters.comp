//! variants: f32 f16
// Gradients of the parameters of a squeeze-excitation, summed over the images n, an element an invocation:
//   dw1[c,j] = means[n,c] * outer[n,j]             db1[j] = outer[n,j]
//   dw2[j,c] = activation(z[n,j]) * inner[n,c]     db2[c] = inner[n,c]
//   0 means   storage [n,c];  1 z, 2 inner, 3 outer and the results f32
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "activation.glsl"
#include "squeeze_excite.h"
layout(constant_id = 1) const uint kActivation = 0;
INPUT1(0, means);
INPUT1_F32(1, z);
INPUT1_F32(2, inner);
INPUT1_F32(3, outer);
OUTPUT1_F32(4, dw1);
OUTPUT1_F32(5, db1);
OUTPUT1_F32(6, dw2);
OUTPUT1_F32(7, db2);
layout(push_constant) uniform Push { SqueezeExcite p; };

// Four sums side by side: short chains of additions, and few turns of the loop.
#define SUM(n, term) \
  vec4 sum = vec4(0.0); \
  for (uint first = 0; first < p.images; first += 4) \
    [[unroll]] for (uint u = 0; u < 4; ++u) { \
      const uint n = min(first + u, p.images - 1); \
      sum[u] += first + u < p.images ? (term) : 0.0; \
    } \
  const float total = (sum.x + sum.y) + (sum.z + sum.w);

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  const uint weights = p.channels * p.squeezed;
  if (i < weights) {
    const uint c = i / p.squeezed, j = i - c * p.squeezed;
    SUM(n, LOAD1(means, n * p.channels + c) * outer[n * p.squeezed + j])
    dw1[i] = total;
    return;
  }
  i -= weights;
  if (i < weights) {
    const uint j = i / p.channels, c = i - j * p.channels;
    SUM(n, activate(kActivation, vec4(z[n * p.squeezed + j])).x * inner[n * p.channels + c])
    dw2[i] = total;
    return;
  }
  i -= weights;
  if (i < p.squeezed) {
    SUM(n, outer[n * p.squeezed + i])
    db1[i] = total;
    return;
  }
  i -= p.squeezed;
  if (i < p.channels) {
    SUM(n, inner[n * p.channels + i])
    db2[i] = total;
  }
}
