#pragma once
// NumPy's .npy format, versions 1 to 3: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

// An array as it lies in the file: little-endian elements in C order (a Fortran-ordered file is reordered on reading).
struct NpyArray {
  std::string dtype;            // numpy's name without byte order: "f4", "i8", "u1", "b1", "U3" (3 UCS-4), "S5" (5 bytes)
  std::vector<int64_t> shape;   // {} is a scalar
  std::vector<std::byte> data;  // count() * bytes per element

  int64_t count() const;
  // Every element converted; a text element must hold one number ("3", " -0.25 "). as_int64s() refuses fractions.
  std::vector<float> as_floats() const;
  std::vector<int64_t> as_int64s() const;
  double number(int64_t index) const;  // one element as double

  std::string name;  // where it came from, for messages
};

NpyArray parse_npy(std::span<const std::byte> bytes, std::string_view name);
NpyArray read_npy(const std::filesystem::path& path);

// Version 1.0, C order. The product of the shape must be the number of values.
void write_npy(const std::filesystem::path& path, std::span<const int64_t> shape, std::span<const float> values);
void write_npy(const std::filesystem::path& path, std::span<const int64_t> shape, std::span<const int64_t> values);

}  // namespace vkfer
