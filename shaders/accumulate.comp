// sum = first ? x : sum + x. What `sum` holds before the first is not looked at.
//   0 x f32, packed;  1 sum f32, packed alike, in place;  2 first [1]: not 0 begins a new sum;  3 ranges
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pack.h"
layout(push_constant) uniform Params { Pack push; };
#include "pack.glsl"
PACK_INPUT(0, x)
PACK_IN_PLACE(1, sum)
INPUT1_F32(2, first);
PACK_RANGES(3)

void main() {
  const uint group = linear_group();
  if (group >= push.groups) return;
  const PackRange range = pack_range(group);
  const bool begins = first[0] != 0.0;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = pack_vector(range, group, v);
    if (4 * i >= range.count) return;
    const uint at = range.first_vector + i, left = range.count - 4 * i;
    const vec4 x = load_x(at, left);
    store_sum(at, left, begins ? x : load_sum(at, left) + x);
  }
}
