//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Gradient of batch normalisation, second pass:
//   dx = gamma * invstd * (g - dbeta / n - xhat * dgamma / n)     batch statistics (Ioffe and Szegedy, 2015)
//   dx = gamma * invstd * g                                        running statistics
//   dresidual = g
// A lane keeps its channels and walks down a chunk (columns.glsl).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "divide.glsl"
#include "columns.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"
#include "batch_norm_grad.glsl"

layout(constant_id = 4) const bool kGradResidual = false;

UNITS_IN_F32(7, dgamma);
UNITS_IN_F32(8, dbeta);
UNITS_OUT(9, dx);
UNITS_OUT(10, dresidual);
layout(push_constant) uniform Push { BatchNorm p; };

#define APPLY(i)                                                        \
  {                                                                     \
    UNIT g = gradient_at(i, channel, xhat);                             \
    STOREU(dx, i, factor * (g - mean_g - xhat * mean_product));         \
    if (kGradResidual) STOREU(dresidual, i, g);                         \
  }

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  Columns k = walk(group, p.parts, p.inverse_parts, p.row_units, p.inverse_row_units, p.span, p.whole, p.tail_units, p.chunk_steps);
  Channel channel = load_channel(k.channel, p.eps);
  UNIT factor = channel.gamma * channel.invstd, mean_g = UNIT(0.0), mean_product = UNIT(0.0), xhat;
  if (!kVariance) {
    mean_g = dbeta[k.channel] * p.inverse_rows;
    mean_product = dgamma[k.channel] * p.inverse_rows;
  }
  WALK(k, p.span, APPLY)
}
