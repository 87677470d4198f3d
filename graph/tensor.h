#pragma once
// Shapes, element types and host tensors. Activations are NHWC: [n,h,w,c]; a vector is [c]; a matrix [rows,columns].
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace vkfer {

// u8 tensors are stored four to a 32-bit word, so that no 8-bit storage feature is needed.
enum class DType : uint8_t { f32, f16, i32, u8 };
size_t dtype_bytes(DType);
const char* dtype_name(DType);

class Shape {
 public:
  static constexpr int kMaxRank = 8;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(const std::vector<int64_t>& dims);

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[i]; }
  int64_t& operator[](int i) { return dims_[i]; }
  int64_t elements() const;        // 1 for rank 0
  int64_t last() const { return rank_ ? dims_[rank_ - 1] : 1; }
  int64_t rows() const { return last() ? elements() / last() : 0; }  // elements / last dimension
  // [n,h,w,c] by name; valid for rank 4
  int64_t n() const { return dims_[0]; }
  int64_t h() const { return dims_[1]; }
  int64_t w() const { return dims_[2]; }
  int64_t c() const { return dims_[3]; }
  std::string to_string() const;   // "8x48x48x32"
  friend bool operator==(const Shape& a, const Shape& b);
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }
  friend bool operator<(const Shape& a, const Shape& b);

 private:
  int rank_ = 0;
  int64_t dims_[kMaxRank] = {};
};

struct TensorDesc {
  Shape shape;
  DType dtype = DType::f32;
  int64_t elements() const { return shape.elements(); }
  size_t bytes() const;            // rounded up to whole 32-bit words
  std::string to_string() const;   // "8x48x48x32 f32"
  friend bool operator==(const TensorDesc&, const TensorDesc&) = default;
};

// A tensor on the host in double: what the reference computes with, whatever the stored type is.
struct HostTensor {
  Shape shape;
  std::vector<double> data;
  HostTensor() = default;
  explicit HostTensor(Shape s, double fill = 0) : shape(s), data(size_t(s.elements()), fill) {}
  double& operator[](size_t i) { return data[i]; }
  double operator[](size_t i) const { return data[i]; }
};

uint16_t float_to_half(float);  // round to nearest even, IEEE 754 binary16
float half_to_float(uint16_t);

}  // namespace vkfer
