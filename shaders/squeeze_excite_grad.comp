//! variants: f32 f16
// Back through the two layers of a squeeze-excitation, for one image a workgroup:
//   inner = dgate * gate * (1 - gate)              before the sigmoid, [n,c]
//   outer = (inner w2^T) * activation'(z)          before the inner activation, [n,s]
//   dmeans = outer w1^T / (h * w)                  [n,c]
//   0 dgate, 1 gate, 5 dmeans   storage;  the rest f32, w1 [c,s], w2 [s,c]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "activation.glsl"
#include "squeeze_excite.h"
layout(constant_id = 1) const uint kSqueezed = 1;
layout(constant_id = 2) const uint kChannels = 1;
layout(constant_id = 3) const uint kActivation = 0;
INPUT1(0, dgate);
INPUT1(1, gate);
INPUT1_F32(2, z);
INPUT1_F32(3, w1);
INPUT1_F32(4, w2);
OUTPUT1(5, dmeans);
OUTPUT1_F32(6, inner);
OUTPUT1_F32(7, outer);
layout(push_constant) uniform Push { SqueezeExcite p; };
shared float shared_inner[kChannels];
shared float shared_outer[kSqueezed];

void main() {
  const uint image = linear_group();
  if (image >= p.images) return;
  const uint first = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
  for (uint c = first; c < p.channels; c += step) {
    const uint at = image * p.channels + c;
    const float g = LOAD1(gate, at), value = LOAD1(dgate, at) * g * (1.0 - g);
    shared_inner[c] = value;
    inner[at] = value;
  }
  barrier();
  for (uint j = first; j < p.squeezed; j += step) {
    vec4 sum = vec4(0.0);
    for (uint c = 0; c < p.channels; c += 4)
      [[unroll]] for (uint u = 0; u < 4; ++u) {
        const uint at = min(c + u, p.channels - 1);
        sum[u] += c + u < p.channels ? shared_inner[at] * w2[j * p.channels + at] : 0.0;
      }
    const uint at = image * p.squeezed + j;
    const float value = ((sum.x + sum.y) + (sum.z + sum.w)) * activate_slope(kActivation, vec4(z[at])).x;
    shared_outer[j] = value;
    outer[at] = value;
  }
  barrier();
  for (uint c = first; c < p.channels; c += step) {
    vec4 sum = vec4(0.0);
    for (uint j = 0; j < p.squeezed; j += 4)
      [[unroll]] for (uint u = 0; u < 4; ++u) {
        const uint at = min(j + u, p.squeezed - 1);
        sum[u] += j + u < p.squeezed ? shared_outer[at] * w1[c * p.squeezed + at] : 0.0;
      }
    dmeans[image * p.channels + c] = STORE1(((sum.x + sum.y) + (sum.z + sum.w)) * p.inverse_pixels);
  }
}
