#pragma once
// The numbers of tests/fixtures/generator.py, bit for bit: see there for what they are.
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer::fixture {

inline uint64_t name_hash(std::string_view name) {  // FNV-1a
  uint64_t h = 14695981039346656037ull;
  for (unsigned char c : name) h = (h ^ c) * 1099511628211ull;
  return h;
}

inline uint64_t word(uint64_t hash, uint64_t i) {  // splitmix64
  uint64_t z = (i + 1) * 0x9E3779B97F4A7C15ull + hash;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

inline double bell(uint64_t hash, uint64_t i) {
  const uint64_t w = word(hash, i);
  const int64_t total = int64_t((w & 0xFFFF) + ((w >> 16) & 0xFFFF) + ((w >> 32) & 0xFFFF) + (w >> 48));
  return double(total - 131070) / 32768;
}

inline std::vector<float> tensor(std::string_view name, int64_t count, double scale = 1, double offset = 0) {
  std::vector<float> values(static_cast<size_t>(count));
  const uint64_t hash = name_hash(name);
  for (size_t i = 0; i < values.size(); ++i) {
    const double scaled = scale * bell(hash, i);  // a statement of its own: no fused multiply-add, as in numpy
    values[i] = float(offset + scaled);
  }
  return values;
}

inline std::vector<int64_t> labels(std::string_view name, int64_t count, int64_t classes) {
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = int64_t(word(name_hash(name), i) % uint64_t(classes));
  return values;
}

inline std::vector<float> parameter(const std::string& name, const std::vector<int64_t>& shape) {
  int64_t count = 1, below_first = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    count *= shape[i];
    if (i) below_first *= shape[i];
  }
  if (shape.size() == 4) return tensor(name, count, std::sqrt(1.5 / double(below_first)));
  if (shape.size() == 2) return tensor(name, count, std::sqrt(0.75 / double(shape[1])));
  return tensor(name, count, 0.125, name.ends_with(".weight") ? 1.0 : 0.0);
}

inline std::vector<float> running_mean(const std::string& name, int64_t count, double mean, double var) {
  return tensor(name, count, 0.25 * std::sqrt(var), mean);
}
inline std::vector<float> running_var(const std::string& name, int64_t count, double var) { return tensor(name, count, 0.125 * var, var); }

// Row k of the projections: +-1 from bit k.
inline double sign(uint64_t i, int k) {
  static const uint64_t hash = name_hash("projection");
  return (word(hash, i) >> k) & 1 ? -1.0 : 1.0;
}

}  // namespace vkfer::fixture
