// What both passes of batch normalisation's gradient start from: the gradient before the activation and the normalised input.
//   z = (x - mean) * (gamma * invstd) + beta + residual;  g = dy * activation'(z);  xhat = (x - mean) * invstd
layout(constant_id = 1) const bool kVariance = false;  // running statistics: `spread` is the variance, and mean and variance are constants
layout(constant_id = 2) const bool kResidual = false;
layout(constant_id = 3) const uint kActivation = 0;

UNITS_IN(0, x);
UNITS_IN(1, dy);
UNITS_IN_F32(2, gamma);
UNITS_IN_F32(3, beta);
UNITS_IN_F32(4, mean);
UNITS_IN_F32(5, spread);
UNITS_IN(6, residual);

struct Channel {
  UNIT gamma, beta, mean, invstd;
};

Channel load_channel(uint c, float eps) {
  UNIT s = spread[c];
  return Channel(gamma[c], beta[c], mean[c], kVariance ? 1.0 / sqrt(s + eps) : s);
}

UNIT gradient_at(uint i, Channel k, out UNIT xhat) {
  UNIT centered = LOADU(x, i) - k.mean, g = LOADU(dy, i);
  xhat = centered * k.invstd;
  if (kActivation != kNone) {
    UNIT z = fma(centered, k.gamma * k.invstd, k.beta);
    if (kResidual) z += LOADU(residual, i);
    g *= SLOPE(kActivation, z);
  }
  return g;
}
