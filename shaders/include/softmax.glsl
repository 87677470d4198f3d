// Softmax of one row of x, kept in range by subtracting the maximum. Include after the buffer `x` is declared.
struct SoftmaxRow { uint first; float maximum, sum; };

SoftmaxRow softmax_row(uint row, uint classes) {
  SoftmaxRow r = SoftmaxRow(row * classes, x[row * classes], 0.0);
  for (uint c = 1; c < classes; ++c) r.maximum = max(r.maximum, x[r.first + c]);
  for (uint c = 0; c < classes; ++c) r.sum += exp(x[r.first + c] - r.maximum);
  return r;
}
float probability(SoftmaxRow r, uint c) { return exp(x[r.first + c] - r.maximum) / r.sum; }
float log_probability(SoftmaxRow r, uint c) { return x[r.first + c] - r.maximum - log(r.sum); }
