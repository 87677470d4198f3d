// Over rows with 0 <= label < classes, w = class_weights[label]:
//   kLoss     y[0] = sum row_loss / sum w      kInverse  y[0] = 1 / sum w      (0 when sum w is 0)
//   0 row_loss [rows] (kLoss only), 1 labels i32 [rows], 2 class_weights [classes], 3 y [1]
// One workgroup; an invocation sums every size-th row, then a tree.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
#include "workgroup_sum.glsl"
layout(constant_id = 1) const uint kInverse = 0;
layout(push_constant) uniform Push { Rows push; };
INPUT1_F32(0, row_loss);
INPUT1_I32(1, labels);
INPUT1_F32(2, class_weights);
OUTPUT1_F32(3, y);

void main() {
  vec2 sum = vec2(0.0);  // loss, weight
  for (uint row = gl_LocalInvocationID.x; row < push.rows; row += gl_WorkGroupSize.x) {
    const uint label = uint(labels[row]);
    if (label < push.classes) sum += vec2(kInverse != 0 ? 1.0 : row_loss[row], class_weights[label]);
  }
  sum = workgroup_sum(sum);
  if (gl_LocalInvocationID.x == 0) y[0] = sum.y == 0.0 ? 0.0 : kInverse != 0 ? 1.0 / sum.y : sum.x / sum.y;
}
