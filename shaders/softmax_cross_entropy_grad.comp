// dlogits of the weighted mean: with L the cross-entropy of a row, T = sum_c t_c, q = 1 - p_label,
//   dL/dx_c = T p_c - t_c;   d q^gamma / dx_c = -gamma q^gamma p_label (delta - p_c) / q
//   dlogits[row,c] = dloss / sum(weights) * (q^gamma dL/dx_c + L d q^gamma / dx_c); 0 for an ignored row
//   0 x logits [rows, classes], 1 labels i32 [rows], 2 class_weights [classes], 3 dloss [1]
//   4 inverse_weight [1]: 1 / sum over labelled rows of class_weights[label], 5 dlogits [rows, classes]
// An invocation handles one row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "loss.h"
layout(push_constant) uniform Push { CrossEntropy push; };
INPUT1_F32(0, x);
INPUT1_I32(1, labels);
INPUT1_F32(2, class_weights);
INPUT1_F32(3, dloss);
INPUT1_F32(4, inverse_weight);
OUTPUT1_F32(5, dlogits);
#include "softmax.glsl"
#include "cross_entropy.glsl"

void main() {
  const uint row = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (row >= push.rows) return;
  const SoftmaxRow r = softmax_row(row, push.classes);
  const uint label = uint(labels[row]);
  if (!labelled(row)) {
    for (uint c = 0; c < push.classes; ++c) dlogits[r.first + c] = 0.0;
    return;
  }
  float total = 0.0;
  for (uint c = 0; c < push.classes; ++c) total += target(label, c);
  const float miss = miss_probability(r, label);
  const float factor = focal_factor(miss);
  // (delta - p_c) / q stays within [-1, 1]: 1 for the label, -p_c / q for the others
  float pull = 0.0;
  if (push.gamma != 0.0) pull = cross_entropy(r, label) * push.gamma * factor * probability(r, label);
  const float scale = dloss[0] * inverse_weight[0];
  for (uint c = 0; c < push.classes; ++c) {
    const float p = probability(r, c);
    // T p_c - t_c without cancellation at the label: T (p - 1) + (T - t)
    const float slope = c == label ? (total - target(label, c)) - total * miss : total * p - target(label, c);
    const float ratio = c == label ? 1.0 : (miss > 0.0 ? -p / miss : 0.0);
    dlogits[r.first + c] = scale * (factor * slope - pull * ratio);
  }
}
