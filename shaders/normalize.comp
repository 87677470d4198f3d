//! variants: f32 f16
// y[n,y,x,c] = (pixel * scale - mean[c]) / std[c], pixel read from the image shifted by (dy,dx), black where nothing
// was, then flipped left to right. One channel is replicated; three become gray by ITU-R 601 weights when one is wanted.
//   0 words   u8 [n,h,w,channels_in] four to a word, 1 augment i32 [n,4] {flip, dy, dx, 0}
//   2 y       storage [n,h,w,kChannels]
// An invocation handles kItems pixels.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "image.h"
layout(constant_id = 1) const uint kItems = 4;
layout(constant_id = 2) const uint kChannels = 3;
layout(push_constant) uniform Push { Normalize push; };
INPUT1_U32(0, words);
INPUT1_I32(1, augment);
OUTPUT1(2, y);

float byte_at(uint i) { return float((words[i >> 2] >> ((i & 3) * 8)) & 0xffu); }

// The pixel as kChannels values; black outside the image.
vec3 source_pixel(uint image, int row, int column) {
  if (row < 0 || row >= int(push.height) || column < 0 || column >= int(push.width)) return vec3(0.0);
  const uint first = ((image * push.height + uint(row)) * push.width + uint(column)) * push.channels_in;
  if (push.channels_in == 1) return vec3(byte_at(first));
  const vec3 rgb = vec3(byte_at(first), byte_at(first + 1), byte_at(first + 2));
  return kChannels == 1 ? vec3(dot(rgb, vec3(0.299, 0.587, 0.114))) : rgb;
}

void main() {
  for (uint v = 0; v < kItems; ++v) {
    const uint i = (linear_group() * kItems + v) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= push.pixels) return;
    const uint line = divide(i, push.by_x), image = divide(line, push.by_y);
    const int row = int(line - image * push.height), column = int(i - line * push.width);
    const int shifted = augment[4 * image] != 0 ? int(push.width) - 1 - column : column;
    const vec3 pixel = source_pixel(image, row - augment[4 * image + 1], shifted - augment[4 * image + 2]);
    for (uint c = 0; c < kChannels; ++c)
      y[i * kChannels + c] = STORE1((pixel[c] * push.scale - push.mean[c]) / push.std[c]);
  }
}
