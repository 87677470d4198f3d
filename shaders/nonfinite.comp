// found = 1 where some element of x is infinite or no number; the launch before has set it to 0 or to what was found earlier.
// Every invocation that finds one sets the same bits, so that neither order nor count matters. The test is on the bits: compilers
// that assume finite arithmetic would fold isnan away.
//   0 x f32, packed;  1 ranges;  2 found [1]: the bits of 0.0 or 1.0
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pack.h"
layout(push_constant) uniform Params { Pack push; };
#include "pack.glsl"
PACK_INPUT(0, x)
PACK_RANGES(1)
layout(set = 0, binding = 2, std430) buffer Found { uint found[]; };

void main() {
  const uint group = linear_group();
  if (group >= push.groups) return;
  const PackRange range = pack_range(group);
  const uvec4 exponent = uvec4(0x7f800000u);
  bool any_found = false;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = pack_vector(range, group, v);
    if (4 * i < range.count)
      any_found = any_found || any(equal(floatBitsToUint(load_x(range.first_vector + i, range.count - 4 * i)) & exponent, exponent));
  }
  if (any_found) atomicOr(found[0], floatBitsToUint(1.0));
}
