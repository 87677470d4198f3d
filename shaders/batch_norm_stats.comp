//! variants: f32 f16 f32_texel f16_texel f32_scalar f16_scalar
#version 450
// Batch normalisation, statistics of parts of the batch: mean[part][c], m2[part][c] = sum (x - mean)^2, size[part][c] = how many.
// x [rows, c]. A part is what one lane sums up (columns.glsl): chunk by chunk, span / c parts a chunk. The sums run over
// x - shift, so that E[x^2] - E[x]^2 does not cancel; shift is the median of the part's first, middle and last element, so that one
// outlier cannot spoil it. batch_norm_finish.comp combines the parts (Chan et al., 1979).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "divide.glsl"
#include "columns.glsl"
#include "params/batch_norm.h"

UNITS_IN(0, x);
UNITS_OUT_F32(1, mean);
UNITS_OUT_F32(2, m2);
UNITS_OUT_F32(3, size);
layout(push_constant) uniform Push { BatchNorm p; };

#define ADD(j, i)                                   \
  {                                                 \
    UNIT d = LOADU(x, i) - shift[j];                \
    sum[j] += d;                                    \
    squares[j] = fma(d, d, squares[j]);             \
  }

UNIT median(UNIT a, UNIT b, UNIT c) { return max(min(a, b), min(max(a, b), c)); }

void main() {
  uint group = linear_group();
  if (!kEveryGroup && group >= p.groups) return;
  Columns k = walk(group, p.parts, p.inverse_parts, p.row_units, p.inverse_row_units, p.span, p.whole, p.tail_units, p.chunk_steps);
  uint end = p.whole * p.span + p.tail_units - 1u;  // of x
  uint last = max(k.full, k.first + 1u) - 1u, middle = (k.first + last) / 2u;
  UNIT shift[kMostParts], sum[kMostParts], squares[kMostParts];
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    shift[j] = median(LOADU(x, min(k.first * p.span + k.column[j], end)), LOADU(x, min(middle * p.span + k.column[j], end)),
                      LOADU(x, min(last * p.span + k.column[j], end)));
    sum[j] = squares[j] = UNIT(0.0);
  }
  WALK(k, p.span, ADD)
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    float n = float(k.full - k.first + uint(k.tail[j])), inverse = 1.0 / max(n, 1.0);  // a lane without an element leaves an empty part
    uint at = (p.first_chunk + k.chunk) * p.span + k.column[j];
    mean[at] = shift[j] + sum[j] * inverse;
    m2[at] = max(squares[j] - sum[j] * sum[j] * inverse, UNIT(0.0));
    size[at] = UNIT(n);
  }
}
