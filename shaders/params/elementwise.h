// Push constants of the elementwise shaders and of reductions over an image, read by GLSL and by C++.
#ifndef VKFER_PARAMS_ELEMENTWISE_H
#define VKFER_PARAMS_ELEMENTWISE_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

struct Flat {             // unary, binary, cast
  uint count;             // elements
  float factor;           // unary kScale
};

struct Dropout {
  uint count;
  uint first_vector;      // of this slice: element number / 4
  uint salt;
  float p, scale;         // drop probability; 1 / (1-p)
  uint row_elements;      // of one of dimension 0
};

struct StochasticDepth {  // a unit is 4 elements, or 1 where the elements of an image are no multiple of 4
  uint units;
  uint first_image;       // of this slice
  uint salt;
  float p, scale;         // drop probability; 1 / (1-p)
  Divisor by_image;       // units of an image
};

struct ChannelScale {     // a unit is 4 channels, or 1 where c % 4 != 0
  uint units;
  float factor;
  Divisor by_image;       // units of an image
  Divisor by_channels;    // units of a pixel
};

struct ReduceSpatial {
  uint outputs;           // n * channel units
  uint rows, columns;     // h, w
  float factor;
  Divisor by_channels;    // units of a pixel
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
