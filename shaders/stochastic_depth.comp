//! variants: f32 f16
// y = (u(n) >= p ? x / (1-p) : 0) + residual, u(n) = Philox4x32-10(counter {n, salt, step}, key seed)[0] as a uniform.
//   0 x, 2 residual, 3 y   storage [n,...] (the residual is read where kResidual)
//   1 step                 u32 [5] {seed low, seed high, step low, step high, first row: n counts from it}
// An invocation handles kItems units of 4 elements (1 where an image's elements are no multiple of 4). The gradient is the
// same launch on dy.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "units.glsl"
#include "philox.glsl"
#include "elementwise.h"
layout(constant_id = 3) const uint kResidual = 0;
layout(push_constant) uniform Push { StochasticDepth push; };
UNIT_INPUT(0, x)
INPUT1_U32(1, step);
UNIT_INPUT(2, residual)
UNIT_OUTPUT(3, y)

void main() {
  const uvec2 key = uvec2(step[0], step[1]);
  const uvec2 now = uvec2(step[2], step[3]);
  [[unroll]] for (uint v = 0; v < kItems; ++v) {
    const uint i = work_item(v);
    if (i >= push.units) return;
    const uint image = step[4] + push.first_image + divide(i, push.by_image);
    const bool kept = philox_uniform(uvec4(image, push.salt, now), key).x >= push.p;
    vec4 y = kept ? load_x(i) * push.scale : vec4(0.0);
    if (kResidual != 0) y += load_residual(i);
    store_y(i, y);
  }
}
