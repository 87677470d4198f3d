#pragma once
// Numbers for test rows: repeatable from a text, the same on every machine.
#include <string_view>

#include "graph/op.h"

namespace vkfer::test {

class Numbers {  // SplitMix64
 public:
  explicit Numbers(std::string_view seed);
  uint64_t bits();
  double uniform(double lo, double hi);
  int64_t integer(int64_t lo, int64_t hi);  // both ends included

 private:
  uint64_t state_;
};

// real      uniform in the fill's range
// integers  small integers instead, of the fill's signs: sums of products stay exact
// impulse   zeros but for a few elements at random places (the low end of the range where zero is outside of it)
// Fills that are no reals (labels, tables) are the same in every mode. A u8 tensor holds 0..255 whatever the mode.
enum class FillMode { real, integers, impulse };

HostTensor filled(const TensorDesc&, const Fill&, FillMode, Numbers&);

// As stored: f32 and f16 round to nearest even.
HostTensor rounded(DType, HostTensor);

double norm(const HostTensor&);
bool is_float(DType);

}  // namespace vkfer::test
