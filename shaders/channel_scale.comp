//! variants: f32 f16
// One number per image and channel spread over the pixels of the image:
//   kMultiply     y[n,h,w,c] = a[n,h,w,c] * b[n,c]            squeeze-excitation
//   kSpread       y[n,h,w,c] = factor * b[n,c]                gradient of global average pooling (a is bound, not read)
//   kMultiplyAdd  y[n,h,w,c] = a[n,h,w,c] * b[n,c] + d[n,c]   gradient of squeeze-excitation
//   0 a, 2 y   storage [n,h,w,c];  1 b, 3 d  storage [n,c] (d is read by kMultiplyAdd only)
// An invocation handles kItems units of 4 channels (1 where c % 4 != 0).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "units.glsl"
#include "elementwise.h"
layout(constant_id = 3) const uint kOperation = 0;
const uint kMultiply = 0, kMultiplyAdd = 2;
layout(push_constant) uniform Push { ChannelScale push; };
UNIT_INPUT(0, a)
UNIT_INPUT(1, b)
UNIT_OUTPUT(2, y)
UNIT_INPUT(3, d)

void main() {
  [[unroll]] for (uint v = 0; v < kItems; ++v) {
    const uint i = work_item(v);
    if (i >= push.units) return;
    const uint image = divide(i, push.by_image);
    const uint channel = i - divide(i, push.by_channels) * push.by_channels.value;
    const uint row = image * push.by_channels.value + channel;
    const vec4 s = load_b(row);
    if (kOperation == kMultiply) store_y(i, load_a(i) * s);
    else if (kOperation == kMultiplyAdd) store_y(i, load_a(i) * s + load_d(row));
    else store_y(i, s * push.factor);
  }
}
