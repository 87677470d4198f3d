//! variants: f32 f16
// y = u >= p ? x / (1-p) : 0, u = Philox4x32-10(counter {element/4, salt, step}, key seed)[element % 4] as a uniform.
//   0 x, 2 y   storage, any shape, seen flat
//   1 step     u32 [4] {seed low, seed high, step low, step high}
// An invocation handles kVectors vec4, one Philox block each. The gradient is the same launch on dy.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"
#include "philox.glsl"
#include "elementwise.h"
layout(push_constant) uniform Push { Dropout push; };
FLAT_INPUT(0, x)
INPUT1_U32(1, step);
FLAT_OUTPUT(2, y)

void main() {
  const uint vectors = (push.count + 3) / 4;
  const uvec2 key = uvec2(step[0], step[1]);
  const uvec2 now = uvec2(step[2], step[3]);
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = flat_vector(v);
    if (i >= vectors) return;
    const vec4 u = philox_uniform(uvec4(push.first_vector + i, push.salt, now), key);
    store_y(i, push.count, mix(vec4(0.0), load_x(i, push.count) * push.scale, greaterThanEqual(u, vec4(push.p))));
  }
}
