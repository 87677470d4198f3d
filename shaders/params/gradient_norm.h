// Push constants of sum_squares, sum_squares_finish and clip_scale, read by GLSL and by C++.
#ifndef VKFER_PARAMS_GRADIENT_NORM_H
#define VKFER_PARAMS_GRADIENT_NORM_H
#ifdef __cplusplus
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

struct SumSquares {
  uint ranges;            // entries of the table; of no meaning to the finish
  uint groups;            // of this launch; for the finish: of all
  uint first_group;       // where this launch's parts stand
};

struct ClipScale {
  float max_norm;
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
