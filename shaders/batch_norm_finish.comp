//! variants: f32
#version 450
// Batch normalisation, statistics of the batch from those of its parts, in the order of the parts:
//   mean[c], invstd[c] = 1 / sqrt(m2 / n + eps),
//   new running mean = (1 - momentum) * old + momentum * mean, the variance likewise with the unbiased m2 / (n - 1), as torch.
// What is not finite does not become a running statistic: a step of mixed precision that overflows is skipped, and would spoil
// them for good. One invocation a channel.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "finite.glsl"
#include "params/batch_norm.h"

INPUT1_F32(0, part_mean);
INPUT1_F32(1, part_m2);
INPUT1_F32(2, part_size);
INPUT1_F32(3, running_mean);
INPUT1_F32(4, running_var);
OUTPUT1_F32(5, mean);
OUTPUT1_F32(6, invstd);
OUTPUT1_F32(7, new_running_mean);
OUTPUT1_F32(8, new_running_var);
layout(push_constant) uniform Push { BatchNormFinish p; };

void main() {
  uint c = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (c >= p.c) return;
  float m = 0.0, m2 = 0.0, n = 0.0;
  for (uint s = 0; s < p.parts; ++s) {
    uint at = s * p.c + c;
    float size = part_size[at], total = n + size, share = size / max(total, 1.0);
    float delta = part_mean[at] - m;
    m = size > 0.0 ? fma(delta, share, m) : m;
    m2 += size > 0.0 ? part_m2[at] + delta * delta * (n * share) : 0.0;
    n = total;
  }
  mean[c] = m;
  invstd[c] = 1.0 / sqrt(m2 / n + p.eps);
  new_running_mean[c] = finite_or(fma(p.momentum, m - running_mean[c], running_mean[c]), running_mean[c]);
  new_running_var[c] = finite_or(fma(p.momentum, m2 / (n - 1.0) - running_var[c], running_var[c]), running_var[c]);
}
