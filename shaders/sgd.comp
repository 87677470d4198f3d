// g = grad + weight_decay * param; velocity' = momentum * velocity + g; param' = param - rate * d,
// d = velocity' or, with Nesterov's momentum, g + momentum * velocity'        as torch.optim.SGD (dampening 0)
// kScaled: gradients are loss_scale times too large. kMaySkip: where one of the step is not finite, nothing changes.
//   0 grad, 1 param, 2 velocity   f32, packed alike, the last two written in place
//   3 hyper [8], 4 ranges, 5 loss_scale [1], 6 nonfinite [1]: 0 or 1
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pack.h"
layout(push_constant) uniform Params { Pack push; };
#include "pack.glsl"
layout(constant_id = 3) const uint kScaled = 0;
layout(constant_id = 4) const uint kMaySkip = 0;
layout(constant_id = 5) const uint kNesterov = 0;
PACK_INPUT(0, grad)
PACK_IN_PLACE(1, param)
PACK_IN_PLACE(2, velocity)
INPUT1_F32(3, hyper);
PACK_RANGES(4)
INPUT1_F32(5, loss_scale);
INPUT1_F32(6, nonfinite);

void main() {
  const uint group = linear_group();
  if (group >= push.groups || (kMaySkip != 0 && nonfinite[0] != 0.0)) return;
  const PackRange range = pack_range(group);
  const float rate = hyper[0] * range.rate_factor, momentum = hyper[1], weight_decay = hyper[4] * range.decay_factor;
  const float unscale = kScaled != 0 ? 1.0 / loss_scale[0] : 1.0;
  [[unroll]] for (uint v = 0; v < kVectors; ++v) {
    const uint i = pack_vector(range, group, v);
    if (4 * i >= range.count) return;
    const uint at = range.first_vector + i, left = range.count - 4 * i;
    const vec4 p = load_param(at, left);
    vec4 g = load_grad(at, left);
    if (kScaled != 0) g *= unscale;
    g += weight_decay * p;
    const vec4 next = momentum * load_velocity(at, left) + g;
    store_velocity(at, left, next);
    store_param(at, left, p - rate * (kNesterov != 0 ? g + momentum * next : next));
  }
}
