//! variants: f32 f16
// dx[n,h,w,c] = dy[n,c] at the first maximum of x[n,:,:,c] in reading order, as torch; 0 elsewhere.
//   0 x [n,h,w,c], 1 dy [n,c], 2 dx [n,h,w,c]   storage
// An invocation handles one image for 4 channels (1 where c % 4 != 0).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "units.glsl"
#include "elementwise.h"
layout(push_constant) uniform Push { ReduceSpatial push; };
UNIT_INPUT(0, x)
UNIT_INPUT(1, dy)
UNIT_OUTPUT(2, dx)

void main() {
  const uint i = work_item(0);
  if (i >= push.outputs) return;
  const uint pixel = push.by_channels.value, pixels = push.rows * push.columns;
  const uint image = divide(i, push.by_channels);
  const uint first = image * pixels * pixel + i - image * pixel;
  vec4 best = load_x(first);
  uvec4 where = uvec4(0);
  // Eight pixels a turn: lavapipe ends an invocation's loops after 65,535 turns in all, without a word. The last pixel is
  // looked at again past the end, which changes nothing.
  for (uint p0 = 0; p0 < pixels; p0 += 8)
    [[unroll]] for (uint u = 0; u < 8; ++u) {
      const uint p = min(p0 + u, pixels - 1);
      const vec4 s = load_x(first + p * pixel);
      const bvec4 better = greaterThan(s, best);
      best = mix(best, s, better);
      where = mix(where, uvec4(p), better);
    }
  const vec4 gradient = load_dy(i);
  for (uint p0 = 0; p0 < pixels; p0 += 8)
    [[unroll]] for (uint u = 0; u < 8; ++u) {
      const uint p = p0 + u;
      if (p < pixels) store_dx(first + p * pixel, mix(vec4(0.0), gradient, equal(where, uvec4(p))));
    }
}
