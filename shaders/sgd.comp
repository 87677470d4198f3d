// g = grad + weight_decay * param; velocity' = momentum * velocity + g; param' = param - rate * d,
// d = velocity' or, with Nesterov's momentum, g + momentum * velocity'        as torch.optim.SGD (dampening 0)
//   0 param, 1 grad, 2 velocity, 4 param', 5 velocity'   f32, seen flat;  3 hyper [8]
// An invocation handles kVectors vec4.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"
#include "optimizer.h"
layout(constant_id = 3) const uint kNesterov = 0;
layout(push_constant) uniform Push { Optimizer push; };
FLAT_INPUT_F32(0, param)
FLAT_INPUT_F32(1, grad)
FLAT_INPUT_F32(2, velocity)
INPUT1_F32(3, hyper);
FLAT_OUTPUT_F32(4, new_param)
FLAT_OUTPUT_F32(5, new_velocity)

void main() {
  const float rate = hyper[0], momentum = hyper[1], weight_decay = hyper[4];
  const uint vectors = (push.count + 3) / 4;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = flat_vector(v);
    if (i >= vectors) return;
    const vec4 p = load_param(i, push.count);
    const vec4 g = load_grad(i, push.count) + weight_decay * p;
    const vec4 next = momentum * load_velocity(i, push.count) + g;
    store_new_velocity(i, push.count, next);
    store_new_param(i, push.count, p - rate * (kNesterov != 0 ? g + momentum * next : next));
  }
}
