#include "graph/tensor.h"

#include <algorithm>
#include <bit>

#include "runtime/error.h"

namespace vkfer {

size_t dtype_bytes(DType t) {
  switch (t) {
    case DType::f32: return 4;
    case DType::f16: return 2;
    case DType::i32: return 4;
    case DType::u8: return 1;
  }
  return 0;
}

const char* dtype_name(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::f16: return "f16";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
  }
  return "?";
}

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::vector<int64_t>(dims)) {}

Shape::Shape(const std::vector<int64_t>& dims) {
  if (dims.size() > size_t(kMaxRank)) fail("shape", "got {} dimensions, expected at most {}", dims.size(), kMaxRank);
  // The product is held below 2^40 elements, so that no later byte count can overflow.
  int64_t product = 1;
  for (int64_t d : dims) {
    if (d < 0 || (d > 0 && product > (int64_t(1) << 40) / d))
      fail("shape", "dimension {} is out of range: got {}, expected a size of 0 or more and at most 2^40 elements in all", rank_, d);
    product *= std::max<int64_t>(d, 1);
    dims_[rank_++] = d;
  }
}

int64_t Shape::elements() const {
  int64_t n = 1;
  for (int i = 0; i < rank_; ++i) n *= dims_[i];
  return n;
}

std::string Shape::to_string() const {
  if (!rank_) return "scalar";
  std::string s;
  for (int i = 0; i < rank_; ++i) {
    if (i) s += "x";
    s += std::to_string(dims_[i]);
  }
  return s;
}

bool operator==(const Shape& a, const Shape& b) {
  return a.rank_ == b.rank_ && std::equal(a.dims_, a.dims_ + a.rank_, b.dims_);
}

bool operator<(const Shape& a, const Shape& b) {
  return std::lexicographical_compare(a.dims_, a.dims_ + a.rank_, b.dims_, b.dims_ + b.rank_);
}

size_t TensorDesc::bytes() const { return (size_t(elements()) * dtype_bytes(dtype) + 3) / 4 * 4; }

std::string TensorDesc::to_string() const { return shape.to_string() + " " + dtype_name(dtype); }

uint16_t float_to_half(float f) {
  const uint32_t x = std::bit_cast<uint32_t>(f);
  const uint32_t sign = (x >> 16) & 0x8000u, magnitude = x & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) return uint16_t(sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u));
  if (magnitude >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // 65520 and above round to infinity
  if (magnitude < 0x33000001u) return uint16_t(sign);             // 2^-25 and below round to zero
  int exponent = int(magnitude >> 23) - 127;
  uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  const int shift = exponent < -14 ? 13 + (-14 - exponent) : 13;
  const uint32_t half = 1u << (shift - 1), rest = mantissa & ((1u << shift) - 1);
  mantissa >>= shift;
  if (rest > half || (rest == half && (mantissa & 1))) ++mantissa;
  // For normal numbers the mantissa still holds its leading one: adding instead of or-ing carries a rounding overflow into the exponent.
  return uint16_t(sign | (exponent < -14 ? mantissa : mantissa + (uint32_t(exponent + 14) << 10)));
}

float half_to_float(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float value = float(mantissa) * 0x1p-24f;
  return sign ? -value : value;
}

}  // namespace vkfer
