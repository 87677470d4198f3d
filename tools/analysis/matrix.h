#pragma once
// Rows of numbers on the host: features of pictures, raw pixels, points of an embedding.
#include <cstdint>
#include <span>
#include <vector>

namespace vkfer {

struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;   // [rows,columns], row by row

  Matrix() = default;
  Matrix(int64_t rows, int64_t columns) : rows(rows), columns(columns), values(size_t(rows * columns)) {}
  std::span<float> row(int64_t i) { return std::span(values).subspan(size_t(i * columns), size_t(columns)); }
  std::span<const float> row(int64_t i) const { return std::span(values).subspan(size_t(i * columns), size_t(columns)); }
};

}  // namespace vkfer
