// Push constants of the squeeze-excitation shaders, read by GLSL and by C++.
#ifndef VKFER_PARAMS_SQUEEZE_EXCITE_H
#define VKFER_PARAMS_SQUEEZE_EXCITE_H
#ifdef __cplusplus
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

struct SqueezeExcite {
  uint images, channels, squeezed;
  float inverse_pixels;   // 1 / (h * w)
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
