// Push constants of the optimizer shaders, read by GLSL and by C++.
#ifndef VKFER_PARAMS_OPTIMIZER_H
#define VKFER_PARAMS_OPTIMIZER_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

struct Optimizer {
  uint count;             // elements of the parameter
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
