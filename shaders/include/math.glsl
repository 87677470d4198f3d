// Elementary functions to about 2e-7 on every driver: GLSL's own may be off by 1e-4 (asin, acos), and lose all digits near
// 1 (log) or 0 (tanh). Polynomials of S. L. Moshier, Cephes mathematical library, single precision; erf beyond 1 of Abramowitz
// and Stegun, 7.1.26 (1.5e-7 absolute).
const float kPi = 3.14159265358979, kHalfPi = 1.57079632679490, kQuarterPi = 0.785398163397448;

float infinity() { return uintBitsToFloat(0x7f800000u); }
float not_a_number() { return uintBitsToFloat(0x7fc00000u); }
bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }
bool is_inf(float x) { return (floatBitsToUint(x) & 0x7fffffffu) == 0x7f800000u; }
float power_of_two(int n) { return intBitsToFloat((n + 127) << 23); }  // -126 <= n <= 127

float exp_minus_one_near_zero(float r) {  // |r| <= ln 2 / 2
  const float p = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r + 5.0000001201e-1;
  return p * r * r + r;
}

float exp_of(float x) {
  if (is_nan(x)) return x;
  const float c = clamp(x, -104.0, 89.0), n = roundEven(c * 1.44269504088896);
  precise float r = c - n * 0.693359375;
  r = r + n * 2.12194440e-4;
  const int k = int(n), half_k = k / 2;
  return (exp_minus_one_near_zero(r) + 1.0) * power_of_two(half_k) * power_of_two(k - half_k);
}

float expm1_of(float x) { return abs(x) < 0.34657359 ? exp_minus_one_near_zero(x) : exp_of(x) - 1.0; }

float log_of(float x) {
  if (!(x > 0.0)) return x == 0.0 ? -infinity() : not_a_number();
  if (is_inf(x)) return x;
  const bool tiny = x < 1.17549435e-38;
  const int bits = floatBitsToInt(tiny ? x * 8388608.0 : x);
  float e = float((bits >> 23) - (tiny ? 150 : 127)), m = intBitsToFloat((bits & 0x7fffff) | 0x3f800000);
  if (m > 1.41421356) m *= 0.5, e += 1.0;
  const float f = m - 1.0, z = f * f;
  float p = ((((7.0376836292e-2 * f - 1.1514610310e-1) * f + 1.1676998740e-1) * f - 1.2420140846e-1) * f + 1.4249322787e-1) * f - 1.6668057665e-1;
  p = ((p * f + 2.0000714765e-1) * f - 2.4999993993e-1) * f + 3.3333331174e-1;
  const float low = p * f * z - 2.12194440e-4 * e - 0.5 * z;
  return f + low + 0.693359375 * e;
}

// Kahan's: what was lost in 1 + x is the same in both factors.
float log1p_of(float x) {
  precise float u = 1.0 + x;
  precise float d = u - 1.0;
  if (d == 0.0) return x;
  return is_inf(u) ? u : log_of(u) * (x / d);
}

struct SinCos { float s, c; };
SinCos sin_cos(float x) {
  const float a = abs(x);
  if (!(a < 8192.0)) return SinCos(sin(x), cos(x));
  int j = int(a * 1.27323954473516);
  j += j & 1;
  const float n = float(j);
  precise float r = a - n * 0.78515625;
  r = r - n * 2.4187564849853515625e-4;
  r = r - n * 3.77489497744594108e-8;
  const float z = r * r;
  const float s = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
  const float c = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
  const bool swap = (j & 2) != 0, sin_negative = ((j & 4) != 0) != (x < 0.0), cos_negative = ((j + 2) & 4) != 0;
  const float sine = swap ? c : s, cosine = swap ? s : c;
  return SinCos(sin_negative ? -sine : sine, cos_negative ? -cosine : cosine);
}

float asin_near_zero(float s) {  // |s| <= 0.5
  const float z = s * s;
  return ((((4.2163199048e-2 * z + 2.4181311049e-2) * z + 4.5470025998e-2) * z + 7.4953002686e-2) * z + 1.6666752422e-1) * z * s + s;
}
float acos_of(float x) {
  const float a = abs(x);
  if (a <= 0.5) return kHalfPi - asin_near_zero(x);
  const float half_angle = 2.0 * asin_near_zero(sqrt(0.5 * (1.0 - a)));
  return x < 0.0 ? kPi - half_angle : half_angle;
}
float asin_of(float x) {
  const float a = abs(x);
  if (a <= 0.5) return asin_near_zero(x);
  const float r = kHalfPi - 2.0 * asin_near_zero(sqrt(0.5 * (1.0 - a)));
  return x < 0.0 ? -r : r;
}
float atan_of(float x) {
  float a = abs(x), y = 0.0;
  if (a > 2.414213562373095) y = kHalfPi, a = -1.0 / a;
  else if (a > 0.4142135623730950) y = kQuarterPi, a = (a - 1.0) / (a + 1.0);
  const float z = a * a;
  y += (((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1) * z * a + a;
  return x < 0.0 ? -y : y;
}

float sinh_of(float x) {
  if (abs(x) > 80.0) return x < 0.0 ? -0.5 * exp_of(40.0) * exp_of(-x - 40.0) : 0.5 * exp_of(40.0) * exp_of(x - 40.0);
  const float t = expm1_of(abs(x)), r = 0.5 * (t + t / (t + 1.0));
  return x < 0.0 ? -r : r;
}
float cosh_of(float x) {
  const float a = abs(x);
  if (a > 80.0) return 0.5 * exp_of(40.0) * exp_of(a - 40.0);
  const float e = exp_of(a);
  return 0.5 * (e + 1.0 / e);
}
float tanh_of(float x) {
  if (is_nan(x)) return x;   // min() need not keep it
  const float t = expm1_of(2.0 * min(abs(x), 20.0)), r = t / (t + 2.0);
  return x < 0.0 ? -r : r;
}
float asinh_of(float x) {
  const float a = abs(x), r = a > 1e9 ? log_of(a) + 0.693147180559945 : log1p_of(a + a * a / (1.0 + sqrt(1.0 + a * a)));
  return x < 0.0 ? -r : r;
}
float acosh_of(float x) {
  if (x < 1.0) return not_a_number();
  const float t = x - 1.0;
  return x > 1e9 ? log_of(x) + 0.693147180559945 : log1p_of(t + sqrt(2.0 * t + t * t));
}
float atanh_of(float x) { return 0.5 * log1p_of(2.0 * x / (1.0 - x)); }

float erf_of(float x) {
  const float a = abs(x), z = x * x;
  if (a < 1.0) {
    float p = ((7.853861353153693e-5 * z - 8.010193625184903e-4) * z + 5.188327685732524e-3) * z - 2.685381193529856e-2;
    return x * (((p * z + 1.128358514861418e-1) * z - 3.761262582423300e-1) * z + 1.128379165726710);
  }
  const float t = 1.0 / (1.0 + 0.3275911 * a);
  const float p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const float r = 1.0 - p * exp_of(-z);
  return x < 0.0 ? -r : r;
}

float logistic(float x) {
  const float e = exp_of(-abs(x));
  return x < 0.0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}
float softplus_of(float x) { return max(x, 0.0) + log1p_of(exp_of(-abs(x))); }
float normal_density(float x) { return 0.398942280401433 * exp_of(-0.5 * x * x); }

// Whole exponents by multiplication: exact on small integers, and right for negative bases.
float pow_of(float a, float b) {
  if (b == trunc(b) && abs(b) <= 64.0) {
    float r = 1.0, square = a;
    for (uint n = uint(abs(b)); n != 0; n >>= 1, square *= square)
      if ((n & 1u) != 0) r *= square;
    return b < 0.0 ? 1.0 / r : r;
  }
  if (a == 0.0) return b > 0.0 ? 0.0 : infinity();
  const float r = exp_of(b * log_of(abs(a)));
  if (a > 0.0) return r;
  if (b != trunc(b)) return not_a_number();
  const bool odd = abs(b) < 16777216.0 && (int(b) & 1) != 0;
  return odd ? -r : r;
}
