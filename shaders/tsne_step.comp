// gradient = factor * (exaggeration * attraction - repulsion / Z), Z = the sum of all weights
// gain' = gain + 0.2 where the last change and the gradient have different signs, else 0.8 gain; at least 0.01
// change' = momentum * change - rate * gain' * gradient; y' = y + change'        Jacobs, 1988, as in van der Maaten's programs
// Where settings[kFresh] says so, nothing was before: change = 0, gain = 1.
//   0 y, 1 change, 2 gain f32 [dimensions,N], 3 forces f32 [2 * dimensions + 2, N], 4 settings f32 [5]
//   5, 6, 7 new y, change, gain: may be 0, 1, 2 themselves
// An invocation makes one number. Every workgroup adds up Z for itself: less work than another launch.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "tsne.h"
#include "workgroup_sum.glsl"
layout(push_constant) uniform Push { TsneStep push; };
INPUT1_F32(0, y);
INPUT1_F32(1, change);
INPUT1_F32(2, gain);
INPUT1_F32(3, forces);
INPUT1_F32(4, settings);
OUTPUT1_F32(5, new_y);
OUTPUT1_F32(6, new_change);
OUTPUT1_F32(7, new_gain);

void main() {
  float mine = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < push.columns; c += gl_WorkGroupSize.x) mine += forces[2 * push.count + c];
  const float total = workgroup_sum(vec2(mine, 0.0)).x;
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const bool fresh = settings[kFresh] != 0.0;
  const float before = fresh ? 0.0 : change[i], at = y[i];
  const float gradient = push.factor * (settings[kExaggeration] * forces[i] - forces[push.count + i] / total);
  const float g = max(0.01, before * gradient < 0.0 ? (fresh ? 1.0 : gain[i]) + 0.2 : 0.8 * (fresh ? 1.0 : gain[i]));
  const float next = settings[kMomentum] * before - settings[kRate] * g * gradient;
  new_gain[i] = g;
  new_change[i] = next;
  new_y[i] = at + next;
}
