//! variants: f32 f16
// One number per image and channel from all pixels of the image:
//   kMean   y[n,c] = factor * sum_hw a[n,h,w,c]          global average pooling
//   kDot    y[n,c] = sum_hw a[n,h,w,c] * b[n,h,w,c]      gradient of a squeeze-excitation scale
//   kMax    y[n,c] = max_hw a[n,h,w,c]                   global max pooling
//   0 a, 1 b   storage [n,h,w,c] (b is read by kDot only);  2 y  storage [n,c]
// An invocation reduces one image for 4 channels (1 where c % 4 != 0): the sum of the sums of its rows, in order.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "units.glsl"
#include "elementwise.h"
layout(constant_id = 3) const uint kOperation = 0;
const uint kMean = 0, kDot = 1, kMax = 2;
layout(push_constant) uniform Push { ReduceSpatial push; };
UNIT_INPUT(0, a)
UNIT_INPUT(1, b)
UNIT_OUTPUT(2, y)

void main() {
  const uint i = work_item(0);
  if (i >= push.outputs) return;
  const uint pixel = push.by_channels.value;  // units from one pixel to the next
  const uint image = divide(i, push.by_channels);
  uint at = image * push.rows * push.columns * pixel + i - image * pixel;
  vec4 total = kOperation == kMax ? load_a(at) : vec4(0.0);
  for (uint row = 0; row < push.rows; ++row) {
    vec4 sum = vec4(0.0);
    // Eight columns a turn: lavapipe ends an invocation's loops after 65,535 turns in all, without a word.
    for (uint column = 0; column < push.columns; column += 8)
      [[unroll]] for (uint u = 0; u < 8; ++u) {
        const bool inside = column + u < push.columns;
        const uint i_at = at + min(column + u, push.columns - 1) * pixel;
        const vec4 s = load_a(i_at);
        if (kOperation == kMean) sum += inside ? s : vec4(0.0);
        if (kOperation == kDot) sum += inside ? s * load_b(i_at) : vec4(0.0);
        if (kOperation == kMax) total = max(total, s);
      }
    at += push.columns * pixel;
    if (kOperation != kMax) total += sum;
  }
  store_y(i, kOperation == kMean ? total * push.factor : total);
}
