// cell[row] = label * classes + the class of the highest probability (of equal ones the lowest class);
// 0xffffffff where the label is not in [0, classes): an ignored row.
//   0 probabilities [rows, classes], 1 labels i32 [rows], 2 cell u32 [rows]
// An invocation handles one row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
layout(push_constant) uniform Push { Rows push; };
INPUT1_F32(0, probabilities);
INPUT1_I32(1, labels);
OUTPUT1_U32(2, cell);

void main() {
  const uint row = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (row >= push.rows) return;
  const uint first = row * push.classes, label = uint(labels[row]);
  uint best = 0;
  for (uint c = 1; c < push.classes; ++c)
    if (probabilities[first + c] > probabilities[first + best]) best = c;
  cell[row] = label < push.classes ? label * push.classes + best : 0xffffffffu;
}
