// found = earlier, or 0 where there is none (kEarlier 0)
//   0 earlier [1], 1 found [1]
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
layout(constant_id = 1) const uint kEarlier = 0;
INPUT1_F32(0, earlier);
OUTPUT1_F32(1, found);

void main() {
  if (gl_GlobalInvocationID.x == 0) found[0] = kEarlier != 0 ? earlier[0] : 0.0;
}
