// Resizes images of any size to size x size as PIL's resize(BILINEAR): a triangle filter, widened by the factor when
// shrinking (antialiasing), weights normalised at the border of the crop box. In f32, rounded once: PIL rounds to 8 bits
// between its two passes, so it may differ by one level.
//   0 words u8 source bytes four to a word
//   1 table i32 [n,8] {byte offset, height, width, channels, y0, x0, crop height, crop width}
//   2 y u8 [n,size,size,kChannels] four to a word
// Gray is replicated, colour becomes gray by ITU-R 601 weights; a second or fourth channel (alpha) is not read.
// An invocation computes four pixels, that is kChannels whole words.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "image.h"
layout(constant_id = 1) const uint kChannels = 3;
layout(push_constant) uniform Push { Resample push; };
INPUT1_U32(0, words);
INPUT1_I32(1, table);
OUTPUT1_U32(2, y);

// The table comes from the host; a wrong one must not read outside the buffer.
float byte_at(uint i) { return float((words[min(i >> 2, push.words_in - 1)] >> ((i & 3) * 8)) & 0xffu); }

// The filter along one axis for output position `at`: taps [first, end) of the crop box, centre and width.
struct Axis { int first, end; float centre, scale; };

Axis axis(uint at, int length) {
  const float ratio = float(length) / float(push.size);
  Axis a;
  a.scale = max(ratio, 1.0);
  a.centre = (float(at) + 0.5) * ratio;
  a.first = max(int(a.centre - a.scale + 0.5), 0);
  a.end = min(int(a.centre + a.scale + 0.5), length);
  return a;
}
float weight(Axis a, int tap) { return max(1.0 - abs((float(tap) + 0.5 - a.centre) / a.scale), 0.0); }

vec3 read_pixel(uint first, uint channels) {
  if (channels < 3) return vec3(byte_at(first));
  return vec3(byte_at(first), byte_at(first + 1), byte_at(first + 2));
}

// Pixel i of the output, rounded to whole levels.
uvec3 resample(uint i) {
  const uint line = divide(i, push.by_x), image = divide(line, push.by_y);
  const uint t = 8 * image, channels = uint(table[t + 3]);
  const Axis ay = axis(line - image * push.size, table[t + 6]), ax = axis(i - line * push.size, table[t + 7]);
  vec3 sum = vec3(0.0);
  float weights = 0.0;
  for (int row = ay.first; row < ay.end; ++row) {
    uint at = uint(table[t]) + uint((table[t + 4] + row) * table[t + 2] + table[t + 5] + ax.first) * channels;
    vec3 line_sum = vec3(0.0);
    float line_weights = 0.0;
    // Eight taps a turn: lavapipe ends an invocation's loops after 65,535 turns in all, without a word.
    for (int column = ax.first; column < ax.end; column += 8)
      [[unroll]] for (int u = 0; u < 8; ++u, at += channels) {
        const float w = column + u < ax.end ? weight(ax, column + u) : 0.0;
        line_sum += w * read_pixel(at, channels);
        line_weights += w;
      }
    const float w = weight(ay, row);
    sum += w * line_sum;
    weights += w * line_weights;
  }
  vec3 value = sum / weights;
  if (kChannels == 1 && channels >= 3) value = vec3(dot(value, vec3(0.299, 0.587, 0.114)));
  return uvec3(clamp(floor(value + 0.5), 0.0, 255.0));
}

void main() {
  const uint group = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (4 * group >= push.pixels) return;
  uint packed[3] = uint[3](0, 0, 0);
  for (uint p = 0; p < 4 && 4 * group + p < push.pixels; ++p) {
    const uvec3 pixel = resample(4 * group + p);
    for (uint c = 0; c < kChannels; ++c) {
      const uint at = p * kChannels + c;
      packed[at / 4] |= pixel[c] << (8 * (at & 3));
    }
  }
  for (uint w = 0; w < kChannels && group * kChannels + w < push.words_out; ++w) y[group * kChannels + w] = packed[w];
}
