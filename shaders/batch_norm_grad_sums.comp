//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// Gradient of batch normalisation, first pass: dbeta[part][c] = sum g, dgamma[part][c] = sum g * xhat over the part's rows.
// A part is what one lane sums up (columns.glsl); sum_slices.comp adds the parts in order.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "divide.glsl"
#include "columns.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"
#include "batch_norm_grad.glsl"

UNITS_OUT_F32(7, dgamma);
UNITS_OUT_F32(8, dbeta);
layout(push_constant) uniform Push { BatchNorm p; };

#define ADD(j, i)                                   \
  {                                                 \
    UNIT g = gradient_at(i, channel[j], xhat);      \
    sum[j] += g;                                    \
    product[j] = fma(g, xhat, product[j]);          \
  }

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  Columns k = walk(group, p.parts, p.inverse_parts, p.row_units, p.inverse_row_units, p.span, p.whole, p.tail_units, p.chunk_steps);
  Channel channel[kMostParts];
  UNIT sum[kMostParts], product[kMostParts], xhat;
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    channel[j] = load_channel(k.channel[j], p.eps);
    sum[j] = product[j] = UNIT(0.0);
  }
  WALK(k, p.span, ADD)
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    uint at = (p.first_chunk + k.chunk) * p.span + k.column[j];
    dgamma[at] = product[j];
    dbeta[at] = sum[j];
  }
}
