// Adam (Kingma, Ba, 2015) and AdamW (Loshchilov, Hutter, 2019: kDecoupled), as torch.optim.Adam and AdamW:
//   m' = beta1 m + (1-beta1) g;  v' = beta2 v + (1-beta2) g^2
//   param' = param - rate * m' bias1 / (sqrt(v' bias2) + eps),  bias_i = 1 / (1 - beta_i^t)
// coupled: g = grad + weight_decay * param; decoupled: param -= rate * weight_decay * param first.
// hyper[7] is 1 - beta2 formed in double: from the rounded beta2 = 0.999 it would be off by 5e-5. 0: formed here.
// kKeras puts epsilon inside the correction: param' = param - rate * bias1 / sqrt(bias2) * m' / (sqrt(v') + eps)
// kScaled: gradients are loss_scale times too large. kMaySkip: where one of the step is not finite, nothing changes.
//   0 grad, 1 param, 2 m, 3 v   f32, packed alike, the last three written in place
//   4 hyper [8], 5 ranges, 6 loss_scale [1], 7 nonfinite [1]: 0 or 1
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pack.h"
layout(push_constant) uniform Params { Pack push; };
#include "pack.glsl"
layout(constant_id = 3) const uint kScaled = 0;
layout(constant_id = 4) const uint kMaySkip = 0;
layout(constant_id = 5) const uint kDecoupled = 0;
layout(constant_id = 6) const uint kKeras = 0;
PACK_INPUT(0, grad)
PACK_IN_PLACE(1, param)
PACK_IN_PLACE(2, m)
PACK_IN_PLACE(3, v)
INPUT1_F32(4, hyper);
PACK_RANGES(5)
INPUT1_F32(6, loss_scale);
INPUT1_F32(7, nonfinite);

void main() {
  const uint group = linear_group();
  if (group >= push.groups || (kMaySkip != 0 && nonfinite[0] != 0.0)) return;
  const PackRange range = pack_range(group);
  const float rate = hyper[0] * range.rate_factor, weight_decay = hyper[4] * range.decay_factor;
  const float beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3];
  const float bias1 = hyper[5], bias2 = hyper[6], rest2 = hyper[7] != 0.0 ? hyper[7] : 1.0 - beta2;
  const float unscale = kScaled != 0 ? 1.0 / loss_scale[0] : 1.0;
  [[unroll]] for (uint k = 0; k < kVectors; ++k) {
    const uint i = pack_vector(range, group, k);
    if (4 * i >= range.count) return;
    const uint at = range.first_vector + i, left = range.count - 4 * i;
    vec4 p = load_param(at, left);
    vec4 g = load_grad(at, left);
    if (kScaled != 0) g *= unscale;
    if (kDecoupled != 0) p -= rate * weight_decay * p;
    else g += weight_decay * p;
    const vec4 m1 = beta1 * load_m(at, left) + (1.0 - beta1) * g;
    const vec4 v1 = beta2 * load_v(at, left) + rest2 * g * g;
    store_m(at, left, m1);
    store_v(at, left, v1);
    if (kKeras != 0) p -= rate * bias1 / sqrt(bias2) * m1 / (sqrt(v1) + eps);
    else p -= rate * bias1 * m1 / (sqrt(v1 * bias2) + eps);
    store_param(at, left, p);
  }
}
