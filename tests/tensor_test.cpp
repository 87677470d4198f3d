// Shapes, element types and the 16-bit conversions of graph/tensor.h.
#include <cmath>
#include <limits>

#include "graph/tensor.h"
#include "runtime/error.h"
#include "tests/catch.h"

using namespace vkfer;

namespace {

constexpr int kLargestHalf = 0x7bff;  // 65504

// The value of a 16-bit float by its definition: sign, 5 bits of exponent, 10 of mantissa.
double half_by_definition(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const double magnitude = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return h >> 15 ? -magnitude : magnitude;
}

}  // namespace

TEST_CASE("every 16-bit float converts to float and back", "[tensor]") {
  int wrong = 0;
  for (int h = 0; h < 65536; ++h) {
    const float f = half_to_float(uint16_t(h));
    if ((h & 0x7fff) > 0x7c00) {
      wrong += !std::isnan(f) || !std::isnan(half_to_float(float_to_half(f)));
      continue;
    }
    if ((h & 0x7fff) == 0x7c00) wrong += !std::isinf(f) || std::signbit(f) != bool(h >> 15);
    else wrong += double(f) != half_by_definition(uint16_t(h)) || std::signbit(f) != bool(h >> 15);
    wrong += float_to_half(f) != h;
  }
  CHECK(wrong == 0);
}

TEST_CASE("floats round to the nearest 16-bit float, ties to even", "[tensor]") {
  int wrong = 0;
  for (int h = 0; h < kLargestHalf; ++h) {  // between h and its neighbour
    const float low = half_to_float(uint16_t(h)), high = half_to_float(uint16_t(h + 1));
    const float middle = (low + high) / 2;
    const int even = h % 2 ? h + 1 : h;
    wrong += float_to_half(middle) != even;
    wrong += float_to_half(std::nextafter(middle, low)) != h;
    wrong += float_to_half(std::nextafter(middle, high)) != h + 1;
    wrong += float_to_half(-middle) != (even | 0x8000);
  }
  CHECK(wrong == 0);
  CHECK(float_to_half(65504.f) == kLargestHalf);
  CHECK(float_to_half(std::nextafter(65520.f, 0.f)) == kLargestHalf);
  CHECK(float_to_half(65520.f) == 0x7c00);
  CHECK(float_to_half(std::numeric_limits<float>::infinity()) == 0x7c00);
  CHECK(float_to_half(-std::numeric_limits<float>::infinity()) == 0xfc00);
  CHECK(float_to_half(std::numeric_limits<float>::denorm_min()) == 0);
  CHECK(float_to_half(-0.f) == 0x8000);
}

TEST_CASE("shapes count, compare and print", "[tensor]") {
  const Shape s = {2, 3, 5, 7};
  CHECK(s.elements() == 210);
  CHECK(s.rows() == 30);
  CHECK(s.last() == 7);
  CHECK(s.to_string() == "2x3x5x7");
  CHECK(s == Shape(std::vector<int64_t>{2, 3, 5, 7}));
  CHECK(s != Shape{2, 3, 5});
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{4, 0, 2}.elements() == 0);
  CHECK((Shape{1, 2} < Shape{1, 3}));
}

TEST_CASE("tensors take whole 32-bit words", "[tensor]") {
  CHECK(TensorDesc{{3}, DType::f32}.bytes() == 12);
  CHECK(TensorDesc{{3}, DType::f16}.bytes() == 8);
  CHECK(TensorDesc{{5}, DType::u8}.bytes() == 8);
  CHECK(TensorDesc{{2, 2}, DType::i32}.bytes() == 16);
  CHECK(TensorDesc{{2, 3}, DType::f16}.to_string() == "2x3 f16");
}

TEST_CASE("sizes that no tensor can have are refused", "[tensor]") {
  CHECK_THROWS_WITH((Shape{-1}), contains("-1"));
  CHECK_THROWS_AS((Shape{int64_t(1) << 40, int64_t(1) << 40}), Error);
  CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), Error);
}
