//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
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

#define APPLY(j, i)                                                              \
  {                                                                              \
    UNIT g = gradient_at(i, channel[j], xhat);                                   \
    STOREU(dx, i, factor[j] * (g - mean_g[j] - xhat * mean_product[j]));         \
    if (kGradResidual) STOREU(dresidual, i, g);                                  \
  }

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  Columns k = walk(group, p.parts, p.inverse_parts, p.row_units, p.inverse_row_units, p.span, p.whole, p.tail_units, p.chunk_steps);
  Channel channel[kMostParts];
  UNIT factor[kMostParts], mean_g[kMostParts], mean_product[kMostParts], xhat;
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    channel[j] = load_channel(k.channel[j], p.eps);
    factor[j] = channel[j].gamma * channel[j].invstd;
    mean_g[j] = kVariance ? UNIT(0.0) : dbeta[k.channel[j]] * p.inverse_rows;
    mean_product[j] = kVariance ? UNIT(0.0) : dgamma[k.channel[j]] * p.inverse_rows;
  }
  WALK(k, p.span, APPLY)
}
