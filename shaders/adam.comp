// Adam (Kingma, Ba, 2015) and AdamW (Loshchilov, Hutter, 2019: kDecoupled), as torch.optim.Adam and AdamW:
//   m' = beta1 m + (1-beta1) g;  v' = beta2 v + (1-beta2) g^2
//   param' = param - rate * m' bias1 / (sqrt(v' bias2) + eps),  bias_i = 1 / (1 - beta_i^t)
// coupled: g = grad + weight_decay * param; decoupled: param -= rate * weight_decay * param first.
// hyper[7] is 1 - beta2 formed in double: from the rounded beta2 = 0.999 it would be off by 5e-5. 0: formed here.
// kKeras puts epsilon inside the correction: param' = param - rate * bias1 / sqrt(bias2) * m' / (sqrt(v') + eps)
//   0 param, 1 grad, 2 m, 3 v, 5 param', 6 m', 7 v'   f32, seen flat;  4 hyper [8]
// An invocation handles kVectors vec4.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"
#include "optimizer.h"
layout(constant_id = 3) const uint kDecoupled = 0;
layout(constant_id = 4) const uint kKeras = 0;
layout(push_constant) uniform Push { Optimizer push; };
FLAT_INPUT_F32(0, param)
FLAT_INPUT_F32(1, grad)
FLAT_INPUT_F32(2, m)
FLAT_INPUT_F32(3, v)
INPUT1_F32(4, hyper);
FLAT_OUTPUT_F32(5, new_param)
FLAT_OUTPUT_F32(6, new_m)
FLAT_OUTPUT_F32(7, new_v)

void main() {
  const float rate = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], weight_decay = hyper[4];
  const float bias1 = hyper[5], bias2 = hyper[6], rest2 = hyper[7] != 0.0 ? hyper[7] : 1.0 - beta2;
  const uint vectors = (push.count + 3) / 4;
  [[unroll]] for (uint k = 0; k < kVectors; ++k) {
    const uint i = flat_vector(k);
    if (i >= vectors) return;
    vec4 p = load_param(i, push.count);
    vec4 g = load_grad(i, push.count);
    if (kDecoupled != 0) p -= rate * weight_decay * p;
    else g += weight_decay * p;
    const vec4 m1 = beta1 * load_m(i, push.count) + (1.0 - beta1) * g;
    const vec4 v1 = beta2 * load_v(i, push.count) + rest2 * g * g;
    store_new_m(i, push.count, m1);
    store_new_v(i, push.count, v1);
    if (kKeras != 0) p -= rate * bias1 / sqrt(bias2) * m1 / (sqrt(v1) + eps);
    else p -= rate * bias1 * m1 / (sqrt(v1 * bias2) + eps);
    store_new_param(i, push.count, p);
  }
}
