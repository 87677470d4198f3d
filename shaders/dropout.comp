//! variants: f32 f16
// y = u >= p ? x / (1-p) : 0, u = Philox4x32-10(counter {element/4, salt, step}, key seed)[element % 4] as a uniform, where
// elements count from those of the batch that x is rows of.
//   0 x, 2 y   storage, any shape, seen flat
//   1 step     u32 [5] {seed low, seed high, step low, step high, first row}
// An invocation handles kVectors vec4, one Philox block each, or two where rows do not begin with a block. The gradient is the
// same launch on dy.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"
#include "philox.glsl"
#include "elementwise.h"
layout(constant_id = 3) const uint kUneven = 0;  // the elements of a row are no multiple of 4
layout(push_constant) uniform Push { Dropout push; };
FLAT_INPUT(0, x)
INPUT1_U32(1, step);
FLAT_OUTPUT(2, y)

void main() {
  const uint vectors = (push.count + 3) / 4;
  const uvec2 key = uvec2(step[0], step[1]);
  const uvec2 now = uvec2(step[2], step[3]);
  const uint before = step[4] * push.row_elements;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = flat_vector(v);
    if (i >= vectors) return;
    const uint block = push.first_vector + before / 4 + i;
    vec4 u = philox_uniform(uvec4(block, push.salt, now), key);
    if (kUneven != 0) {
      const vec4 next = philox_uniform(uvec4(block + 1, push.salt, now), key);
      const uint begin = before % 4;
      u = begin == 0 ? u : begin == 1 ? vec4(u.yzw, next.x) : begin == 2 ? vec4(u.zw, next.xy) : vec4(u.w, next.xyz);
    }
    store_y(i, push.count, mix(vec4(0.0), load_x(i, push.count) * push.scale, greaterThanEqual(u, vec4(push.p))));
  }
}
