// What gradients are to be divided by: scaled[0] = scale / min(1, max_norm / (norm + 1e-6)), norm = sqrt(sum) / scale, as
// torch.nn.utils.clip_grad_norm_; `scale` is what they are too large by already.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "gradient_norm.h"
layout(push_constant) uniform Params { ClipScale push; };
INPUT1_F32(0, sum);
INPUT1_F32(1, scale);
OUTPUT1_F32(2, scaled);

void main() {
  const float norm = sqrt(sum[0]) / scale[0];
  scaled[0] = scale[0] / min(1.0, push.max_norm / (norm + 1e-6));
}
