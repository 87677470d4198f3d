// What both passes of batch normalisation's gradient start from: the gradient before the activation and the normalised input.
//   z = (x - mean) * (gamma * invstd) + beta + residual;  g = dy * activation'(z);  xhat = (x - mean) * invstd
layout(constant_id = 1) const bool kVariance = false;  // running statistics: `spread` is the variance, and mean and variance are constants
layout(constant_id = 2) const bool kResidual = false;
layout(constant_id = 3) const uint kActivation = 0;

CHANNELS_IN(0, x);
CHANNELS_IN(1, dy);
CHANNELS_IN_F32(2, gamma);
CHANNELS_IN_F32(3, beta);
CHANNELS_IN_F32(4, mean);
CHANNELS_IN_F32(5, spread);
CHANNELS_IN(6, residual);

struct Channel {
  vec4 gamma, beta, mean, invstd;
};

Channel load_channel(uint c, uint channels, float eps) {
  vec4 s = LOADC_F32(spread, 0u, c, channels);
  return Channel(LOADC_F32(gamma, 0u, c, channels), LOADC_F32(beta, 0u, c, channels), LOADC_F32(mean, 0u, c, channels),
                 kVariance ? 1.0 / sqrt(s + eps) : s);
}

vec4 gradient_at(uint row, uint c, uint channels, Channel k, out vec4 xhat) {
  vec4 centered = LOADC(x, row, c, channels) - k.mean, g = LOADC(dy, row, c, channels);
  xhat = centered * k.invstd;
  if (kActivation != kNone) {
    vec4 z = fma(centered, k.gamma * k.invstd, k.beta);
    if (kResidual) z += LOADC(residual, row, c, channels);
    g *= activate_slope(kActivation, z);
  }
  return g;
}
