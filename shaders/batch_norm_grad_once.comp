//! variants: f32 f16 f32_texel f16_texel
#version 450
// Gradient of batch normalisation in one launch, for tensors of few rows: batch_norm_grad_sums and _apply one after the other. A lane
// keeps kParts units of four channels and walks down all rows twice, as in batch_norm_once.comp.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "divide.glsl"
#include "columns.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"
#include "batch_norm_grad.glsl"

layout(constant_id = 4) const bool kGradResidual = false;

UNITS_OUT_F32(7, dgamma);
UNITS_OUT_F32(8, dbeta);
UNITS_OUT(9, dx);
UNITS_OUT(10, dresidual);
layout(push_constant) uniform Push { BatchNormOnce p; };

#define ADD(j, i)                                   \
  {                                                 \
    UNIT g = gradient_at(i, channel[j], xhat);      \
    sum[j] += g;                                    \
    product[j] = fma(g, xhat, product[j]);          \
  }

#define APPLY(j, i)                                                              \
  {                                                                              \
    UNIT g = gradient_at(i, channel[j], xhat);                                   \
    STOREU(dx, i, factor[j] * (g - mean_g[j] - xhat * mean_product[j]));         \
    if (kGradResidual) STOREU(dresidual, i, g);                                  \
  }

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  uint column[kMostParts];
  Channel channel[kMostParts];
  UNIT sum[kMostParts], product[kMostParts], factor[kMostParts], mean_g[kMostParts], mean_product[kMostParts], xhat;
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    column[j] = (group * kParts + j) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    channel[j] = load_channel(column[j], p.eps);
    sum[j] = product[j] = UNIT(0.0);
  }
  DOWN_ROWS(p.rows, p.row_units, ADD)
  const float inverse = 1.0 / float(p.rows);
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    dgamma[column[j]] = product[j];
    dbeta[column[j]] = sum[j];
    factor[j] = channel[j].gamma * channel[j].invstd;
    mean_g[j] = kVariance ? UNIT(0.0) : sum[j] * inverse;
    mean_product[j] = kVariance ? UNIT(0.0) : product[j] * inverse;
  }
  DOWN_ROWS(p.rows, p.row_units, APPLY)
}
