// A picture as another one sees it through a projective map, then colour, then a blank rectangle.
//   source = H (x + 1/2, y + 1/2, 1); bilinear between pixel centres, the border goes on outside
//   v = level(v * brightness); v = level(mean * (1 - contrast) + v * contrast); v = level(gray * (1 - saturation) + v * saturation)
//   inside the rectangle: fill.   level: within 0..255; the result is rounded.
//   0 words u8 [n,h,w,kChannels] four to a word, 2 y likewise
//   1 table f32 [n,20] {H by rows (9), brightness, contrast, mean, saturation, top, left, bottom, right, fill, 0, 0}
// An invocation computes four pixels, that is kChannels whole words.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "image.h"
layout(constant_id = 1) const uint kChannels = 3;
layout(push_constant) uniform Push { Warp push; };
INPUT1_U32(0, words);
INPUT1_F32(1, table);
OUTPUT1_U32(2, y);

float byte_at(uint i) { return float((words[i >> 2] >> ((i & 3) * 8)) & 0xffu); }

vec3 source_pixel(uint image, float row, float column) {
  const uint r = uint(clamp(row, 0.0, float(push.height - 1))), k = uint(clamp(column, 0.0, float(push.width - 1)));
  const uint first = ((image * push.height + r) * push.width + k) * kChannels;
  return kChannels == 1 ? vec3(byte_at(first)) : vec3(byte_at(first), byte_at(first + 1), byte_at(first + 2));
}

vec3 level(vec3 v) { return clamp(v, vec3(0.0), vec3(255.0)); }

uvec3 warped(uint i) {
  const uint line = divide(i, push.by_x), image = divide(line, push.by_y), t = 20 * image;
  const vec2 at = vec2(i - line * push.width, line - image * push.height) + 0.5;
  const float w = table[t + 6] * at.x + table[t + 7] * at.y + table[t + 8];
  const vec2 source = vec2(table[t] * at.x + table[t + 1] * at.y + table[t + 2], table[t + 3] * at.x + table[t + 4] * at.y + table[t + 5]) / w - 0.5;
  const vec2 whole = floor(source), part = source - whole;
  const vec3 above = mix(source_pixel(image, whole.y, whole.x), source_pixel(image, whole.y, whole.x + 1.0), part.x);
  const vec3 below = mix(source_pixel(image, whole.y + 1.0, whole.x), source_pixel(image, whole.y + 1.0, whole.x + 1.0), part.x);
  vec3 v = level(mix(above, below, part.y) * table[t + 9]);
  v = level(vec3(table[t + 11] * (1.0 - table[t + 10])) + v * table[t + 10]);
  if (kChannels == 3) v = level(vec3(dot(v, vec3(0.299, 0.587, 0.114)) * (1.0 - table[t + 12])) + v * table[t + 12]);
  if (at.y > table[t + 13] && at.x > table[t + 14] && at.y < table[t + 15] && at.x < table[t + 16]) v = vec3(table[t + 17]);
  return uvec3(floor(v + 0.5));
}

void main() {
  const uint group = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (4 * group >= push.pixels) return;
  uint packed[3] = uint[3](0, 0, 0);
  for (uint p = 0; p < 4 && 4 * group + p < push.pixels; ++p) {
    const uvec3 pixel = warped(4 * group + p);
    for (uint c = 0; c < kChannels; ++c) {
      const uint at = p * kChannels + c;
      packed[at / 4] |= pixel[c] << (8 * (at & 3));
    }
  }
  for (uint w = 0; w < kChannels && group * kChannels + w < push.words_out; ++w) y[group * kChannels + w] = packed[w];
}
