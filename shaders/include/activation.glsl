// Activation functions and their derivatives, selected by a constant so that the choice folds away.
// The numbers are graph/ops/activation.h's.
const uint kNone = 0, kRelu = 1, kRelu6 = 2, kSilu = 3, kSigmoid = 4, kHardswish = 5;

vec4 sigmoid4(vec4 x) { return 1.0 / (1.0 + exp(-x)); }

vec4 activate(uint f, vec4 x) {
  if (f == kRelu) return max(x, 0.0);
  if (f == kRelu6) return clamp(x, 0.0, 6.0);
  if (f == kSilu) return x * sigmoid4(x);
  if (f == kSigmoid) return sigmoid4(x);
  if (f == kHardswish) return x * clamp(x + 3.0, 0.0, 6.0) * (1.0 / 6.0);
  return x;
}

// d activate(x) / dx. At a kink the derivative is torch's: relu'(0) = 0, relu6'(0) = relu6'(6) = 0, hardswish'(+-3) inner.
vec4 activate_slope(uint f, vec4 x) {
  if (f == kRelu) return vec4(greaterThan(x, vec4(0.0)));
  if (f == kRelu6) return vec4(greaterThan(x, vec4(0.0))) * vec4(lessThan(x, vec4(6.0)));
  if (f == kSilu) { vec4 s = sigmoid4(x); return s * (1.0 + x * (1.0 - s)); }
  if (f == kSigmoid) { vec4 e = exp(-abs(x)); return e / ((1.0 + e) * (1.0 + e)); }  // s (1-s) without cancellation
  if (f == kHardswish) return mix(mix((2.0 * x + 3.0) * (1.0 / 6.0), vec4(0.0), lessThan(x, vec4(-3.0))), vec4(1.0), greaterThan(x, vec4(3.0)));
  return vec4(1.0);
}
