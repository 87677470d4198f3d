// Dimensions of tensors that are walked together, as a table: read by GLSL and by C++.
#ifndef VKFER_PARAMS_STRIDED_H
#define VKFER_PARAMS_STRIDED_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

struct StridedDim {       // from the innermost
  Divisor size;
  int a, b, c;            // strides, in elements; 0: the tensor has one element here for all
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
