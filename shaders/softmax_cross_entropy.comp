// Row losses and probabilities; the rows are averaged by weighted_mean.comp.
//   0 x logits [rows, classes], 1 labels i32 [rows], 2 class_weights [classes]
//   3 probabilities [rows, classes], 4 row_loss [rows] (0 where the label is out of range: an ignored row)
// An invocation handles one row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
layout(push_constant) uniform Push { CrossEntropy push; };
INPUT1_F32(0, x);
INPUT1_I32(1, labels);
INPUT1_F32(2, class_weights);
OUTPUT1_F32(3, probabilities);
OUTPUT1_F32(4, row_loss);
#include "softmax.glsl"
#include "cross_entropy.glsl"

void main() {
  const uint row = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (row >= push.rows) return;
  const SoftmaxRow r = softmax_row(row, push.classes);
  for (uint c = 0; c < push.classes; ++c) probabilities[r.first + c] = probability(r, c);
  float loss = 0.0;
  if (labelled(row)) {
    const uint label = uint(labels[row]);
    loss = cross_entropy(r, label);
    if (push.gamma != 0.0) loss *= focal_factor(miss_probability(r, label));
  }
  row_loss[row] = loss;
}
