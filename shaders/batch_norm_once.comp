//! variants: f32 f16 f32_texel f16_texel
#version 450
// Batch normalisation in one launch, for tensors of few rows: batch_norm_stats, _finish and _apply one after the other.
// x, residual, y [rows, c], c a multiple of four; the rest f32 [c]. A lane keeps kParts units of four channels and walks down all
// rows twice, so that no lane needs what another has found.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "divide.glsl"
#include "columns.glsl"
#include "activation.glsl"
#include "finite.glsl"
#include "params/batch_norm.h"

layout(constant_id = 1) const bool kResidual = false;
layout(constant_id = 2) const uint kActivation = 0;

UNITS_IN(0, x);
UNITS_IN_F32(1, gamma);
UNITS_IN_F32(2, beta);
UNITS_IN_F32(3, running_mean);
UNITS_IN_F32(4, running_var);
UNITS_IN(5, residual);
UNITS_OUT(6, y);
UNITS_OUT_F32(7, mean);
UNITS_OUT_F32(8, invstd);
UNITS_OUT_F32(9, new_running_mean);
UNITS_OUT_F32(10, new_running_var);
layout(push_constant) uniform Push { BatchNormOnce p; };

UNIT median(UNIT a, UNIT b, UNIT c) { return max(min(a, b), min(max(a, b), c)); }

#define ADD(j, i)                                   \
  {                                                 \
    UNIT d = LOADU(x, i) - shift[j];                \
    sum[j] += d;                                    \
    squares[j] = fma(d, d, squares[j]);             \
  }

#define APPLY(j, i)                                          \
  {                                                          \
    UNIT v = fma(LOADU(x, i) - m[j], factor[j], offset[j]);  \
    if (kResidual) v += LOADU(residual, i);                  \
    STOREU(y, i, ACTIVATE(kActivation, v));                  \
  }

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  uint column[kMostParts];
  UNIT shift[kMostParts], sum[kMostParts], squares[kMostParts], m[kMostParts], offset[kMostParts], factor[kMostParts];
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    column[j] = (group * kParts + j) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    shift[j] = median(LOADU(x, column[j]), LOADU(x, p.rows / 2u * p.row_units + column[j]), LOADU(x, (p.rows - 1u) * p.row_units + column[j]));
    sum[j] = squares[j] = UNIT(0.0);
  }
  DOWN_ROWS(p.rows, p.row_units, ADD)
  const float n = float(p.rows), inverse = 1.0 / n;
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    const uint k = column[j];
    const UNIT m2 = max(squares[j] - sum[j] * sum[j] * inverse, UNIT(0.0)), s = 1.0 / sqrt(m2 * inverse + p.eps);
    m[j] = shift[j] + sum[j] * inverse;
    mean[k] = m[j];
    invstd[k] = s;
    new_running_mean[k] = finite_or(fma(UNIT(p.momentum), m[j] - running_mean[k], running_mean[k]), running_mean[k]);
    new_running_var[k] = finite_or(fma(UNIT(p.momentum), m2 / (n - 1.0) - running_var[k], running_var[k]), running_var[k]);
    offset[j] = beta[k];
    factor[j] = gamma[k] * s;
  }
  DOWN_ROWS(p.rows, p.row_units, APPLY)
}
