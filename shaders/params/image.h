// Push constants of the image shaders, read by GLSL and by C++.
#ifndef VKFER_PARAMS_IMAGE_H
#define VKFER_PARAMS_IMAGE_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

struct Normalize {
  uint pixels;            // n * height * width
  uint height, width;
  uint channels_in;
  float scale;
  float mean[3];
  float std[3];
  Divisor by_x, by_y;     // width, height
};

struct Warp {
  uint pixels;            // n * height * width
  uint height, width;
  uint words_out;
  Divisor by_x, by_y;     // width, height
};

struct Resample {
  uint pixels;            // n * size * size
  uint size;
  uint words_in;          // 32-bit words of the source buffer
  uint words_out;
  Divisor by_x, by_y;     // size, size
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
