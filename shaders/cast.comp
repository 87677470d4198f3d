//! variants: f32 f16
// y = x in another storage type. Module f16 converts from or to f16 (kFromHalf, kToHalf), module f32 copies f32.
//   0 x, 1 y   any shape, seen flat
// An invocation handles kVectors vec4.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"
#include "elementwise.h"
layout(constant_id = 3) const uint kFromHalf = 0;
layout(constant_id = 4) const uint kToHalf = 0;
layout(push_constant) uniform Push { Flat push; };
FLAT_INPUT(0, half_x)
FLAT_INPUT_F32(0, x)
FLAT_OUTPUT(1, half_y)
FLAT_OUTPUT_F32(1, y)

void main() {
  const uint vectors = (push.count + 3) / 4;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = flat_vector(v);
    if (i >= vectors) return;
    vec4 a;
    if (kFromHalf != 0) a = load_half_x(i, push.count);
    else a = load_x(i, push.count);
    if (kToHalf != 0) store_half_y(i, push.count, a);
    else store_y(i, push.count, a);
  }
}
