//! variants: f32 f16
// y = a + b, a * b, or b * activation'(a) (a: input of the activation, b: gradient of its output), element by element.
//   0 a, 1 b, 2 y   storage, one shape, seen flat
// An invocation handles kVectors vec4.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"
#include "activation.glsl"
#include "elementwise.h"
layout(constant_id = 3) const uint kOperation = 0;
layout(constant_id = 4) const uint kFunction = 0;  // activation number
const uint kAdd = 0, kMultiply = 1;
layout(push_constant) uniform Push { Flat push; };
FLAT_INPUT(0, a)
FLAT_INPUT(1, b)
FLAT_OUTPUT(2, y)

vec4 combine(vec4 s, vec4 t) {
  if (kOperation == kAdd) return s + t;
  if (kOperation == kMultiply) return s * t;
  return t * activate_slope(kFunction, s);
}

void main() {
  const uint vectors = (push.count + 3) / 4;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = flat_vector(v);
    if (i >= vectors) return;
    store_y(i, push.count, combine(load_a(i, push.count), load_b(i, push.count)));
  }
}
