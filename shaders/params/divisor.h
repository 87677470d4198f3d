// Division by a number known before the launch, as a multiplication: q = n / value for n < 2^31.
// Granlund and Montgomery, Division by Invariant Integers using Multiplication, 1994. Read by GLSL and by C++.
#ifndef VKFER_PARAMS_DIVISOR_H
#define VKFER_PARAMS_DIVISOR_H
#ifdef __cplusplus
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

struct Divisor {
  uint value, magic, shift;
};

#ifdef __cplusplus
inline Divisor divisor(int64_t value) {
  uint shift = 0;
  while ((int64_t(1) << shift) < value) ++shift;
  const uint64_t magic = ((uint64_t(1) << 32) * ((uint64_t(1) << shift) - uint64_t(value))) / uint64_t(value) + 1;
  return {uint(value), uint(magic), shift};
}
}  // namespace vkfer::params
#else
uint divide(uint n, Divisor d) {
  uint high, low;
  umulExtended(n, d.magic, high, low);
  return (high + n) >> d.shift;
}
#endif
#endif
