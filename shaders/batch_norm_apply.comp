//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// y = activation((x - mean) * (gamma * invstd) + beta + residual)
// x, residual, y [rows, c]; the rest f32 [c]. A lane keeps its channels and walks down a chunk (columns.glsl).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "divide.glsl"
#include "columns.glsl"
#include "activation.glsl"
#include "params/batch_norm.h"

layout(constant_id = 1) const bool kVariance = false;  // `spread` is the variance, not 1/sqrt(variance + eps)
layout(constant_id = 2) const bool kResidual = false;
layout(constant_id = 3) const uint kActivation = 0;

UNITS_IN(0, x);
UNITS_IN_F32(1, gamma);
UNITS_IN_F32(2, beta);
UNITS_IN_F32(3, mean);
UNITS_IN_F32(4, spread);
UNITS_IN(5, residual);
UNITS_OUT(6, y);
layout(push_constant) uniform Push { BatchNorm p; };

#define APPLY(j, i)                                          \
  {                                                          \
    UNIT v = fma(LOADU(x, i) - m[j], factor[j], offset[j]);  \
    if (kResidual) v += LOADU(residual, i);                  \
    STOREU(y, i, ACTIVATE(kActivation, v));                  \
  }

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  Columns k = walk(group, p.parts, p.inverse_parts, p.row_units, p.inverse_row_units, p.span, p.whole, p.tail_units, p.chunk_steps);
  UNIT m[kMostParts], offset[kMostParts], factor[kMostParts];
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    m[j] = mean[k.channel[j]];
    offset[j] = beta[k.channel[j]];
    UNIT s = spread[k.channel[j]];
    factor[j] = gamma[k.channel[j]] * (kVariance ? 1.0 / sqrt(s + p.eps) : s);
  }
  WALK(k, p.span, APPLY)
}
