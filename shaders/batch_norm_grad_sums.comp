//! variants: f32 f16 f32_scalar f16_scalar
#version 450
// Gradient of batch normalisation, first pass: dbeta[part][c] = sum g, dgamma[part][c] = sum g * xhat over the part's rows.
// A part is what one lane sums up (columns.glsl); sum_slices.comp adds the parts in order.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "columns.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"
#include "batch_norm_grad.glsl"

UNITS_OUT_F32(7, dgamma);
UNITS_OUT_F32(8, dbeta);
layout(push_constant) uniform Push { BatchNorm p; };

void main() {
  uint group = linear_group();
  if (group >= p.groups) return;
  Columns k = walk(group, p.units, p.row_units, p.span, p.chunk_steps);
  Channel channel = load_channel(k.channel, p.eps);
  UNIT sum = UNIT(0.0), product = UNIT(0.0), xhat;
  for (uint t = k.first; t < k.full; ++t) {
    UNIT g = gradient_at(t * p.span + k.column, channel, xhat);
    sum += g;
    product = fma(g, xhat, product);
  }
  if (k.tail) {
    UNIT g = gradient_at(k.full * p.span + k.column, channel, xhat);
    sum += g;
    product = fma(g, xhat, product);
  }
  uint at = (p.first_chunk + k.chunk) * p.span + k.column;
  dgamma[at] = product;
  dbeta[at] = sum;
}
