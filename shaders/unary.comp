//! variants: f32 f16
// y = f(x), element by element: an activation, a multiple of x, or x itself (flatten, reshape).
//   0 x, 1 y   storage, any shape, seen flat
// An invocation handles kVectors vec4. f16 stores what f32 computes.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"
#include "activation.glsl"
#include "elementwise.h"
layout(constant_id = 3) const uint kFunction = 0;  // an activation's number, or kScale
const uint kScale = 16;
layout(push_constant) uniform Push { Flat push; };
FLAT_INPUT(0, x)
FLAT_OUTPUT(1, y)

void main() {
  const uint vectors = (push.count + 3) / 4;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = flat_vector(v);
    if (i >= vectors) return;
    const vec4 a = load_x(i, push.count);
    store_y(i, push.count, kFunction == kScale ? a * push.factor : activate(kFunction, a));
  }
}
