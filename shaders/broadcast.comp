// y = f(a, b), c ? a : b, or d f / d a * c (kSide 1), d f / d b * c (kSide 2), element by element, with numpy's broadcasting: a
// tensor's stride is 0 along dimensions that it has not. a, b, y: f32 or i32 (kInteger: of a and b), as 32-bit words; a condition
// is an i32. 0 / 0 and x mod 0 of integers are 0.
//   0 a, 1 b, 2 c, 3 y, 4 dimensions
// An invocation handles per_invocation units of 4 elements along the innermost dimension (1 where it is no multiple of 4).
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
layout(constant_id = 4) const uint kPacked = 7;   // bit of a, b, c: its units of 4 lie side by side, on a multiple of 4
layout(constant_id = 5) const uint kSide = 0;
layout(constant_id = 6) const uint kThird = 0;    // c is read
layout(push_constant) uniform Push { Strided push; };
WORDS(0, a)
WORDS(1, b)
WORDS(2, c)
WORDS_OUT(3, y)
STRIDED_TABLE(4)
#include "place.glsl"

// a - n b with the product's rounding error taken out, for drivers whose fma rounds twice (Dekker, 1971).
float less_product(float a, float n, float b) {
  precise float split_n = 4097.0 * n, split_b = 4097.0 * b;
  precise float high_n = split_n - (split_n - n), high_b = split_b - (split_b - b);
  precise float low_n = n - high_n, low_b = b - high_b, product = n * b;
  precise float error = low_n * low_b - (((product - high_n * high_b) - low_n * high_b) - high_n * low_b);
  precise float r = (a - product) - error;
  return r;
}

// a - n b with n = floor or trunc of a / b, put right where rounding the quotient took n one too far.
float mod_of(float a, float b) {
  const bool negative = kFunction == kMod ? b < 0.0 : a < 0.0;
  if (is_inf(b) && !is_inf(a) && !is_nan(a)) return kFunction == kMod && a != 0.0 && (a < 0.0) != negative ? b : a;
  float r = less_product(a, kFunction == kMod ? floor(a / b) : trunc(a / b), b);
  if (negative ? r > 0.0 : r < 0.0) r += negative ? -abs(b) : abs(b);
  if (abs(r) >= abs(b)) r -= negative ? -abs(b) : abs(b);
  return r;
}

float value(float a, float b) {
  switch (kFunction) {
    case kAdd: return a + b;
    case kSubtract: return a - b;
    case kMultiply: return a * b;
    case kDivide: return a / b;
    case kPower: return pow_of(a, b);
    case kMinimum: return is_nan(a) ? a : is_nan(b) ? b : min(a, b);
    case kMaximum: return is_nan(a) ? a : is_nan(b) ? b : max(a, b);
    case kPrelu: return a < 0.0 ? a * b : a;
  }
  return mod_of(a, b);
}

// Equal arguments of a minimum or maximum share its slope, as torch's.
float slope(float a, float b) {
  switch (kFunction) {
    case kSubtract: return kSide == 1 ? 1.0 : -1.0;
    case kMultiply: return kSide == 1 ? b : a;
    case kDivide: return kSide == 1 ? 1.0 / b : -a / (b * b);
    case kPower: return kSide == 1 ? (b == 0.0 ? 0.0 : b * pow_of(a, b - 1.0)) : a == 0.0 && b >= 0.0 ? 0.0 : pow_of(a, b) * log_of(a);
    case kMinimum: return a == b ? 0.5 : float((a < b) == (kSide == 1));
    case kMaximum: return a == b ? 0.5 : float((a > b) == (kSide == 1));
    case kPrelu: return kSide == 1 ? (a < 0.0 ? b : 1.0) : (a < 0.0 ? a : 0.0);
    case kMod: return kSide == 1 ? 1.0 : -floor(a / b);
    case kFmod: return kSide == 1 ? 1.0 : -trunc(a / b);
  }
  return 1.0;
}

int whole_power(int a, int b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? ((b & 1) != 0 ? -1 : 1) : 0;
  int r = 1;
  for (; b != 0; b >>= 1, a *= a)
    if ((b & 1) != 0) r *= a;
  return r;
}

// GLSL leaves % of negative numbers open.
int whole_remainder(int a, int b) {
  if (b == 0) return 0;
  const int r = a - a / b * b;
  return kFunction == kMod && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

int whole_value(int a, int b) {
  switch (kFunction) {
    case kAdd: return a + b;
    case kSubtract: return a - b;
    case kMultiply: return a * b;
    case kDivide: return b == 0 ? 0 : a / b;
    case kPower: return whole_power(a, b);
    case kMinimum: return min(a, b);
    case kMaximum: return max(a, b);
    case kPrelu: return a < 0 ? a * b : a;
    case kAnd: return a != 0 && b != 0 ? 1 : 0;
    case kOr: return a != 0 || b != 0 ? 1 : 0;
    case kXor: return (a != 0) != (b != 0) ? 1 : 0;
  }
  return whole_remainder(a, b);
}

bool compares(uint a, uint b) {
  const float s = uintBitsToFloat(a), t = uintBitsToFloat(b);
  const bool less = kInteger != 0 ? int(a) < int(b) : s < t, equal = kInteger != 0 ? a == b : s == t;
  const bool greater = kInteger != 0 ? int(a) > int(b) : s > t;
  switch (kFunction) {
    case kEqual: return equal;
    case kLess: return less;
    case kLessEqual: return less || equal;
    case kGreater: return greater;
  }
  return greater || equal;
}

uint result(uint a, uint b, uint c) {
  if (kFunction == kWhere) return c != 0 ? a : b;
  if (kFunction >= kEqual && kFunction <= kGreaterEqual) return compares(a, b) ? 1u : 0u;
  if (kInteger != 0) return uint(whole_value(int(a), int(b)));
  const float s = uintBitsToFloat(a), t = uintBitsToFloat(b);
  return floatBitsToUint(kSide != 0 ? uintBitsToFloat(c) * slope(s, t) : value(s, t));
}

#define FETCH(name, bit, at, step) \
  (kFour == 0 ? uvec4(name##1[at]) : (kPacked & bit) != 0 ? name##4[at / 4] : uvec4(name##1[at], name##1[at + step], name##1[at + 2 * step], name##1[at + 3 * step]))

void main() {
  for (uint k = 0; k < push.per_invocation; ++k) {
    const uint i = (linear_group() * push.per_invocation + k) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= push.units) return;
    const ivec3 at = place(kFour != 0 ? 4 * i : i, push.rank);
    const uvec4 a = FETCH(a, 1, at.x, dims[0].a), b = FETCH(b, 2, at.y, dims[0].b), c = kThird != 0 ? FETCH(c, 4, at.z, dims[0].c) : uvec4(0);
    uvec4 y;
    for (uint e = 0; e < (kFour != 0 ? 4u : 1u); ++e) y[e] = result(a[e], b[e], c[e]);
    if (kFour != 0) y4[i] = y;
    else y1[i] = y.x;
  }
}
