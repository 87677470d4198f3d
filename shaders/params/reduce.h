// Push constants of the shaders that go along dimensions of a tensor, read by GLSL and by C++.
#ifndef VKFER_PARAMS_REDUCE_H
#define VKFER_PARAMS_REDUCE_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

// reduce.comp: what becomes of an element first, how two are combined, what becomes of the result
const uint kPlain = 0, kMagnitude = 1, kSquare = 2, kExponential = 3;
const uint kSum = 0, kProduct = 1, kMost = 2, kLeast = 3;
const uint kAsIs = 0, kScaled = 1, kRoot = 2, kLogarithm = 3, kShiftedLogarithm = 4;

struct Reduce {
  uint count;             // outputs * slices
  uint elements;          // that are reduced to one
  uint per_slice;         // of them
  uint kept_rank, reduced_rank;  // entries of the table: dimensions that are kept, then those that are reduced
  float factor;
  Divisor by_outputs;
};

// A tensor as [outer, n, inner].
struct Lines {
  uint count;             // work items
  uint n;                 // elements of a line
  uint m;                 // of the other tensor's line
  Divisor by_inner, by_m;
  float on, off;          // one_hot
};

struct Product {          // matmul.comp: y[m,n] = a[m,k] b[k,n], batch after batch
  uint count;             // units: 4 columns, or 1, of a row of y
  uint m, k, n;
  uint rank;              // entries of the table: batch dimensions
  Divisor by_units, by_m; // units of a row
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
