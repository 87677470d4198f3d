//! variants: f32 f16 f32_scalar f16_scalar
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

#define ADD(i)                                 \
  {                                            \
    UNIT g = gradient_at(i, channel, xhat);    \
    sum += g;                                  \
    product = fma(g, xhat, product);           \
  }

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  Columns k = walk(group, p.parts, p.inverse_parts, p.row_units, p.inverse_row_units, p.span, p.whole, p.tail_units, p.chunk_steps);
  Channel channel = load_channel(k.channel, p.eps);
  UNIT sum = UNIT(0.0), product = UNIT(0.0), xhat;
  WALK(k, p.span, ADD)
  uint at = (p.first_chunk + k.chunk) * p.span + k.column;
  dgamma[at] = product;
  dbeta[at] = sum;
}
