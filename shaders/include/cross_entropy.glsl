// One row of the loss of graph/ops/loss.cpp: target weights, cross-entropy and focal factor. Include after
// softmax.glsl, the push constants and the buffers `labels` and `class_weights`.
//   t_c = class_weight[c] * smoothing / classes + (c == label) * (1 - smoothing) * class_weight[label]
//   row = (1 - p_label)^gamma * -sum_c t_c log p_c
bool labelled(uint row) { return uint(labels[row]) < push.classes; }  // a negative label is a huge unsigned one

float target(uint label, uint c) {
  const float spread = class_weights[c] * push.smoothing / float(push.classes);
  return spread + (c == label ? (1.0 - push.smoothing) * class_weights[c] : 0.0);
}

float cross_entropy(SoftmaxRow r, uint label) {
  float sum = 0.0;
  for (uint c = 0; c < push.classes; ++c) {
    const float t = target(label, c);
    if (t != 0.0) sum -= t * log_probability(r, c);
  }
  return sum;
}

// 1 - p_label, as the sum of the others: exact where p_label is nearly 1.
float miss_probability(SoftmaxRow r, uint label) {
  float sum = 0.0;
  for (uint c = 0; c < push.classes; ++c)
    if (c != label) sum += probability(r, c);
  return sum;
}

float focal_factor(float miss) { return push.gamma == 0.0 ? 1.0 : miss > 0.0 ? pow(miss, push.gamma) : 0.0; }
