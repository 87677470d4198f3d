//! variants: f32 f16
#version 450
// The plain convolution, direct engine: the obvious loops, any stride, padding, dilation and groups. The oracle of the fast engines.
//
//   y[n, oy, ox, co] = activation( sum over r, s, ci of x[n, oy*stride - pad + r*dilation, ..., ci] * filter[r][s][ci][co] + bias[co] + residual )
//   x [n, in_h, in_w, in_c], filter [filter_h, filter_w, in_c / groups, out_c], y and residual [n, out_h, out_w, out_c]
// One invocation computes one element of y.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "activation.glsl"
#include "params/conv.h"

layout(constant_id = 1) const bool kBias = false;
layout(constant_id = 2) const bool kResidual = false;
layout(constant_id = 3) const uint kActivation = 0;

INPUT1(0, x);
INPUT1(1, w);
OUTPUT1(2, y);
INPUT1_F32(3, bias);
INPUT1(4, residual);
layout(push_constant) uniform Push { ConvDirect p; };

void main() {
  uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= p.count) return;
  uint co = i % p.out_c, ox = i / p.out_c % p.out_w, oy = i / (p.out_c * p.out_w) % p.out_h, n = i / (p.out_c * p.out_w * p.out_h);
  uint group_in = p.in_c / p.groups, first_in = co / (p.out_c / p.groups) * group_in;
  float sum = 0.0;
  for (uint r = 0; r < p.filter_h; ++r)
    for (uint s = 0; s < p.filter_w; ++s) {
      int iy = int(oy) * p.stride_y - p.pad_y + int(r) * p.dilation_y, ix = int(ox) * p.stride_x - p.pad_x + int(s) * p.dilation_x;
      if (uint(iy) >= p.in_h || uint(ix) >= p.in_w) continue;
      uint at = ((n * p.in_h + uint(iy)) * p.in_w + uint(ix)) * p.in_c + first_in;
      for (uint c = 0; c < group_in; ++c)
        sum = fma(float(x[at + c]), float(w[((r * p.filter_w + s) * group_in + c) * p.out_c + co]), sum);
    }
  if (kBias) sum += bias[co];
  if (kResidual) sum += float(residual[i]);
  y[i] = STORE1(activate(kActivation, vec4(sum)).x);
}
