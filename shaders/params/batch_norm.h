// Push constants of batch normalisation, read by GLSL and by C++.
#ifdef __cplusplus
#pragma once
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

// x is [rows, c]. Passes that reduce take slices of rows_per_slice rows, passes that map take chunks of as many rows.
struct BatchNorm {
  uint rows, c, rows_per_slice, first_slice, count;  // count: invocations with work
  uint slices;                                       // finish: of all launches
  float eps, momentum;
  float inverse_rows;                                // gradient: 1 / rows of the whole batch
};

struct Fold {
  uint count, c;   // elements; output channels
  float eps;
};
#ifdef __cplusplus
}
#endif
