// average = param + decay * (average - param)
//   0 param f32, packed;  1 average f32, packed alike, in place;  2 decay [1];  3 ranges
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pack.h"
layout(push_constant) uniform Params { Pack push; };
#include "pack.glsl"
PACK_INPUT(0, param)
PACK_IN_PLACE(1, average)
INPUT1_F32(2, decay);
PACK_RANGES(3)

void main() {
  const uint group = linear_group();
  if (group >= push.groups) return;
  const PackRange range = pack_range(group);
  const float keep = decay[0];
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = pack_vector(range, group, v);
    if (4 * i >= range.count) return;
    const uint at = range.first_vector + i, left = range.count - 4 * i;
    const vec4 p = load_param(at, left);
    store_average(at, left, fma(vec4(keep), load_average(at, left) - p, p));
  }
}
