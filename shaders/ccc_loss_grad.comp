// dprediction = -dloss * 2 / (n D) * mask * ((target - mean_y) - 2 cov / D * (prediction - mean_y))
//   0 prediction, 1 target, 2 mask, 5 dprediction   f32, one shape, seen flat
//   3 dloss [1], 4 slopes [4] from ccc_loss.comp
// An invocation handles one element: a batch of targets is small.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
layout(push_constant) uniform Push { Mse push; };
INPUT1_F32(0, prediction);
INPUT1_F32(1, target);
INPUT1_F32(2, mask);
INPUT1_F32(3, dloss);
INPUT1_F32(4, slopes);
OUTPUT1_F32(5, dprediction);

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const float pull = (target[i] - slopes[0]) - 2.0 * slopes[1] * (prediction[i] - slopes[0]);
  dprediction[i] = -dloss[0] * slopes[2] * mask[i] * pull;
}
