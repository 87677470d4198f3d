// Push constants of the loss shaders, read by GLSL and by C++.
#ifndef VKFER_PARAMS_LOSS_H
#define VKFER_PARAMS_LOSS_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

struct CrossEntropy {
  uint rows, classes;
  float smoothing;        // label smoothing
  float gamma;            // focal exponent, 0: none
};

struct Rows {             // softmax, weighted_mean, classification_sums
  uint rows, classes;
};

struct Mse {
  uint count;
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
