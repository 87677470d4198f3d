// Dynamic loss scaling, as torch.cuda.amp.GradScaler.update:
//   a step with gradients that were not finite: scale' = scale * backoff, good' = 0, skipped' = skipped + 1
//   another: good' = good + 1; when that reaches the interval: scale' = scale * growth unless infinite, good' = 0
//   0 scale [1], 1 counts [2] = {good, skipped}, 2 nonfinite [1], 3 scale' [1], 4 counts' [2]    f32
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss_scale.h"
layout(push_constant) uniform Push { LossScale push; };
INPUT1_F32(0, scale);
INPUT1_F32(1, counts);
INPUT1_F32(2, nonfinite);
OUTPUT1_F32(3, new_scale);
OUTPUT1_F32(4, new_counts);

void main() {
  if (gl_GlobalInvocationID.x != 0) return;
  const float old = scale[0], skipped = counts[1];
  if (nonfinite[0] != 0.0) {
    new_scale[0] = old * push.backoff;
    new_counts[0] = 0.0;
    new_counts[1] = skipped + 1.0;
    return;
  }
  const float good = counts[0] + 1.0, grown = old * push.growth;
  const bool grows = good >= push.interval;
  new_scale[0] = grows && (floatBitsToUint(grown) & 0x7f800000u) != 0x7f800000u ? grown : old;
  new_counts[0] = grows ? 0.0 : good;
  new_counts[1] = skipped;
}
