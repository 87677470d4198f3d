#include "tests/op_data.h"

#include <algorithm>
#include <cmath>

namespace vkfer::test {

Numbers::Numbers(std::string_view seed) : state_(0xcbf29ce484222325u) {  // FNV-1a of the text
  for (char c : seed) state_ = (state_ ^ uint8_t(c)) * 0x100000001b3u;
}

uint64_t Numbers::bits() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Numbers::uniform(double lo, double hi) { return lo + (hi - lo) * (double(bits() >> 11) * 0x1p-53); }
int64_t Numbers::integer(int64_t lo, int64_t hi) { return lo + int64_t(bits() % uint64_t(hi - lo + 1)); }

bool is_float(DType t) { return t == DType::f32 || t == DType::f16; }

namespace {

HostTensor integers(const TensorDesc& desc, const Fill& fill, Numbers& numbers) {
  const int64_t most = desc.dtype == DType::f16 ? 1 : 3;  // f16 holds integers up to 2048 only
  const int64_t lo = fill.lo < 0 ? -most : fill.lo > 0 ? 1 : 0;
  const int64_t hi = fill.hi > 0 ? most : fill.hi < 0 ? -1 : 0;
  HostTensor t(desc.shape);
  for (double& x : t.data) x = double(numbers.integer(lo, hi));
  return t;
}

HostTensor impulses(const TensorDesc& desc, const Fill& fill, Numbers& numbers) {
  HostTensor t(desc.shape, std::clamp(0.0, fill.lo, fill.hi));
  const size_t count = t.data.empty() ? 0 : 1 + std::min<size_t>(t.data.size() / 100, 4);
  for (size_t i = 0; i < count; ++i)
    t.data[numbers.bits() % t.data.size()] = numbers.uniform(fill.lo + 0.75 * (fill.hi - fill.lo), fill.hi);
  return t;
}

}  // namespace

HostTensor filled(const TensorDesc& desc, const Fill& fill, FillMode mode, Numbers& numbers) {
  HostTensor t(desc.shape);
  if (fill.kind == Fill::Kind::values) {
    for (size_t i = 0; i < t.data.size(); ++i) t[i] = fill.values[i % fill.values.size()];
  } else if (fill.kind == Fill::Kind::index) {
    for (double& x : t.data) x = double(numbers.integer(int64_t(fill.lo), int64_t(fill.hi)));
  } else if (desc.dtype == DType::u8) {
    for (double& x : t.data) x = double(numbers.integer(0, 255));
  } else if (mode == FillMode::integers) {
    return integers(desc, fill, numbers);
  } else if (mode == FillMode::impulse) {
    return impulses(desc, fill, numbers);
  } else {
    for (double& x : t.data) x = numbers.uniform(fill.lo, fill.hi);
  }
  return t;
}

HostTensor rounded(DType dtype, HostTensor t) {
  for (double& x : t.data) {
    if (dtype == DType::f32) x = double(float(x));
    if (dtype == DType::f16) x = double(half_to_float(float_to_half(float(x))));
  }
  return t;
}

double norm(const HostTensor& t) {
  double sum = 0;
  for (double x : t.data) sum += x * x;
  return std::sqrt(sum);
}

}  // namespace vkfer::test
