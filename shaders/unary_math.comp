// y = f(x), or dx = dy * f'(x) (kGradient), element by element. f32 or i32 (kInteger), both as 32-bit words.
//   0 x, 1 dy (or x again), 2 y   any shape, seen flat
// An invocation handles per_invocation units of 4 elements (1 where their number is no multiple of 4).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "strided.h"
#include "strided.glsl"
#include "math.glsl"
#include "functions.h"
layout(constant_id = 1) const uint kFunction = 0;
layout(constant_id = 2) const uint kInteger = 0;
layout(constant_id = 3) const uint kFour = 1;
layout(constant_id = 4) const uint kGradient = 0;
layout(push_constant) uniform Push { Math push; };
WORDS(0, x)
WORDS(1, dy)
WORDS_OUT(2, y)

float gelu_tanh_inner(float x) { return 0.797884560802865 * (x + 0.044715 * x * x * x); }

float value(float x) {
  switch (kFunction) {
    case kNegate: return -x;
    case kAbs: return abs(x);
    case kSign: return float(x > 0.0) - float(x < 0.0);
    case kFloor: return floor(x);
    case kCeil: return ceil(x);
    case kRound: return roundEven(x);
    case kReciprocal: return 1.0 / x;
    case kSqrt: return sqrt(x);
    case kExp: return exp_of(x);
    case kLog: return log_of(x);
    case kErf: return erf_of(x);
    case kSin: return sin_cos(x).s;
    case kCos: return sin_cos(x).c;
    case kTan: { const SinCos v = sin_cos(x); return v.s / v.c; }
    case kAsin: return asin_of(x);
    case kAcos: return acos_of(x);
    case kAtan: return atan_of(x);
    case kSinh: return sinh_of(x);
    case kCosh: return cosh_of(x);
    case kTanh: return tanh_of(x);
    case kAsinh: return asinh_of(x);
    case kAcosh: return acosh_of(x);
    case kAtanh: return atanh_of(x);
    case kSoftplus: return softplus_of(x);
    case kSoftsign: return x / (1.0 + abs(x));
    case kElu: return x > 0.0 ? x : push.alpha * expm1_of(x);
    case kLeakyRelu: return x < 0.0 ? push.alpha * x : x;
    case kSelu: return push.gamma * (x > 0.0 ? x : push.alpha * expm1_of(x));
    case kCelu: return x > 0.0 ? x : push.alpha * expm1_of(x / push.alpha);
    case kHardSigmoid: return is_nan(x) ? x : clamp(push.alpha * x + push.beta, 0.0, 1.0);
    case kHardSwish: return x * clamp(push.alpha * x + push.beta, 0.0, 1.0);
    case kThresholdedRelu: return x > push.alpha ? x : 0.0;
    case kClip: return is_nan(x) ? x : min(max(x, push.lo), push.hi);
    case kGelu: return 0.5 * x * (1.0 + erf_of(x * 0.707106781186548));
    case kGeluTanh: return 0.5 * x * (1.0 + tanh_of(gelu_tanh_inner(x)));
    case kMish: return x * tanh_of(softplus_of(x));
    case kSwish: return x * logistic(push.alpha * x);
    case kShrink: return x < -push.alpha ? x + push.beta : x > push.alpha ? x - push.beta : 0.0;
  }
  return x;
}

float slope(float x) {
  switch (kFunction) {
    case kNegate: return -1.0;
    case kAbs: return float(x > 0.0) - float(x < 0.0);
    case kReciprocal: return -1.0 / (x * x);
    case kSqrt: return 0.5 / sqrt(x);
    case kExp: return exp_of(x);
    case kLog: return 1.0 / x;
    case kErf: return 1.12837916709551 * exp_of(-x * x);
    case kSin: return sin_cos(x).c;
    case kCos: return -sin_cos(x).s;
    case kTan: { const float c = sin_cos(x).c; return 1.0 / (c * c); }
    case kAsin: return 1.0 / sqrt((1.0 - x) * (1.0 + x));
    case kAcos: return -1.0 / sqrt((1.0 - x) * (1.0 + x));
    case kAtan: return 1.0 / (1.0 + x * x);
    case kSinh: return cosh_of(x);
    case kCosh: return sinh_of(x);
    case kTanh: { const float t = tanh_of(x); return 1.0 - t * t; }
    case kAsinh: return 1.0 / sqrt(1.0 + x * x);
    case kAcosh: return 1.0 / sqrt((x - 1.0) * (x + 1.0));
    case kAtanh: return 1.0 / ((1.0 - x) * (1.0 + x));
    case kSoftplus: return logistic(x);
    case kSoftsign: { const float d = 1.0 + abs(x); return 1.0 / (d * d); }
    case kElu: return x > 0.0 ? 1.0 : push.alpha * exp_of(x);
    case kLeakyRelu: return x < 0.0 ? push.alpha : 1.0;
    case kSelu: return push.gamma * (x > 0.0 ? 1.0 : push.alpha * exp_of(x));
    case kCelu: return x > 0.0 ? 1.0 : exp_of(x / push.alpha);
    case kHardSigmoid: { const float t = push.alpha * x + push.beta; return t > 0.0 && t < 1.0 ? push.alpha : 0.0; }
    case kHardSwish: { const float t = push.alpha * x + push.beta; return t <= 0.0 ? 0.0 : t >= 1.0 ? 1.0 : t + push.alpha * x; }
    case kThresholdedRelu: return float(x > push.alpha);
    case kClip: return float(x > push.lo && x < push.hi);
    case kGelu: return 0.5 * (1.0 + erf_of(x * 0.707106781186548)) + x * normal_density(x);
    case kGeluTanh: {
      const float t = tanh_of(gelu_tanh_inner(x));
      return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * 0.797884560802865 * (1.0 + 0.134145 * x * x);
    }
    case kMish: { const float t = tanh_of(softplus_of(x)); return t + x * (1.0 - t * t) * logistic(x); }
    case kSwish: { const float s = logistic(push.alpha * x); return s + push.alpha * x * s * (1.0 - s); }
    case kShrink: return float(x < -push.alpha || x > push.alpha);
  }
  return 1.0;
}

int whole_value(int x) {
  switch (kFunction) {
    case kNegate: return -x;
    case kAbs: return abs(x);
    case kSign: return sign(x);
    case kClip: return min(max(x, floatBitsToInt(push.lo)), floatBitsToInt(push.hi));
    case kNot: return x == 0 ? 1 : 0;
  }
  return x;
}

uint result(uint x, uint dy) {
  const float v = uintBitsToFloat(x);
  if (kGradient != 0) return floatBitsToUint(uintBitsToFloat(dy) * slope(v));
  if (kFunction == kIdentity) return x;
  if (kFunction == kIsNan) return is_nan(v) ? 1u : 0u;
  if (kFunction == kIsInf) return is_inf(v) && (v < 0.0 ? push.alpha : push.beta) != 0.0 ? 1u : 0u;
  if (kFunction == kToInteger) return is_nan(v) ? 0u : uint(v >= 2147483648.0 ? 0x7fffffff : v < -2147483648.0 ? 0x80000000 : int(v));
  if (kFunction == kToFloat) return floatBitsToUint(float(int(x)));
  if (kFunction == kTruth) return (kInteger != 0 ? x != 0 : v != 0.0) ? 1u : 0u;
  return kInteger != 0 ? uint(whole_value(int(x))) : floatBitsToUint(value(v));
}

void main() {
  for (uint k = 0; k < push.per_invocation; ++k) {
    const uint i = (linear_group() * push.per_invocation + k) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= push.units) return;
    const uvec4 x = kFour != 0 ? x4[i] : uvec4(x1[i]);
    const uvec4 dy = kGradient == 0 ? uvec4(0) : kFour != 0 ? dy4[i] : uvec4(dy1[i]);
    uvec4 y;
    for (uint e = 0; e < (kFour != 0 ? 4u : 1u); ++e) y[e] = result(x[e], dy[e]);
    if (kFour != 0) y4[i] = y;
    else y1[i] = y.x;
  }
}
