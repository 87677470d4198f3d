// new = old + what a batch adds: [true * classes + predicted] rows of this cell, [classes^2] labelled rows,
// [classes^2 + 1] the sum of their row_loss.
//   0 cell u32 [rows] from row_argmax.comp, 1 row_loss [rows], 2 old, 3 new   f32 [classes^2 + 2]
// kFinite: rows whose row_loss is infinite or no number are left out.
// An invocation handles one number of the result and reads all rows: a gather, so that repeats give the same bits.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
layout(constant_id = 1) const uint kFinite = 0;
layout(push_constant) uniform Push { Rows push; };
INPUT1_U32(0, cell);
INPUT1_F32(1, row_loss);
INPUT1_F32(2, old_sums);
OUTPUT1_F32(3, new_sums);

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x, cells = push.classes * push.classes;
  if (i >= cells + 2) return;
  float sum = 0.0;
  for (uint row = 0; row < push.rows; ++row) {
    if (kFinite != 0 && (floatBitsToUint(row_loss[row]) & 0x7f800000u) == 0x7f800000u) continue;
    if (i < cells) sum += cell[row] == i ? 1.0 : 0.0;
    else if (cell[row] != 0xffffffffu) sum += i == cells ? 1.0 : row_loss[row];
  }
  new_sums[i] = old_sums[i] + sum;
}
