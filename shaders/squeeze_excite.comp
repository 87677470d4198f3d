//! variants: f32 f16
// The two layers of a squeeze-excitation, for one image a workgroup:
//   z = means w1 + b1                              w1 [c,s], b1 [s], z [n,s]
//   gate = sigmoid(activation(z) w2 + b2)          w2 [s,c], b2 [c]
//   0 means, 5 gate   storage [n,c];  the rest f32
// Every invocation computes some z, then some gates; between them the activated z stand in shared memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "activation.glsl"
#include "squeeze_excite.h"
layout(constant_id = 1) const uint kSqueezed = 1;
layout(constant_id = 2) const uint kActivation = 0;
INPUT1(0, means);
INPUT1_F32(1, w1);
INPUT1_F32(2, b1);
INPUT1_F32(3, w2);
INPUT1_F32(4, b2);
OUTPUT1(5, gate);
OUTPUT1_F32(6, z);
layout(push_constant) uniform Push { SqueezeExcite p; };
shared float hidden[kSqueezed];

void main() {
  const uint image = linear_group();
  if (image >= p.images) return;
  const uint first = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
  for (uint j = first; j < p.squeezed; j += step) {
    vec4 sum = vec4(0.0);
    for (uint c = 0; c < p.channels; c += 4)
      [[unroll]] for (uint u = 0; u < 4; ++u) {
        const uint at = min(c + u, p.channels - 1);
        sum[u] += c + u < p.channels ? LOAD1(means, image * p.channels + at) * w1[at * p.squeezed + j] : 0.0;
      }
    const float value = (sum.x + sum.y) + (sum.z + sum.w) + b1[j];
    z[image * p.squeezed + j] = value;
    hidden[j] = activate(kActivation, vec4(value)).x;
  }
  barrier();
  for (uint c = first; c < p.channels; c += step) {
    vec4 sum = vec4(0.0);
    for (uint j = 0; j < p.squeezed; j += 4)
      [[unroll]] for (uint u = 0; u < 4; ++u) {
        const uint at = min(j + u, p.squeezed - 1);
        sum[u] += j + u < p.squeezed ? hidden[at] * w2[at * p.channels + c] : 0.0;
      }
    gate[image * p.channels + c] = STORE1(sigmoid4(vec4((sum.x + sum.y) + (sum.z + sum.w) + b2[c])).x);
  }
}
