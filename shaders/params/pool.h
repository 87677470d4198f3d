// Push constants of the pooling shaders, read by GLSL and by C++.
#ifndef VKFER_PARAMS_POOL_H
#define VKFER_PARAMS_POOL_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

// A unit is 4 channels, or 1 where c % 4 != 0. Kernel, stride and pad are specialization constants.
struct Pool {
  uint units;             // of the tensor that is written
  uint h, w, oh, ow;      // pooled tensor, result
  uint end_y, end_x;      // h + bottom pad, w + right pad: where a window stops counting as padded
  Divisor by_channels;    // units of a pixel
  Divisor by_x, by_y;     // width and height of the tensor that is written
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
