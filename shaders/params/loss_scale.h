// Push constants of loss_scale_update.comp, read by GLSL and by C++.
#ifndef VKFER_PARAMS_LOSS_SCALE_H
#define VKFER_PARAMS_LOSS_SCALE_H
#ifdef __cplusplus
namespace vkfer::params {
#endif

struct LossScale {
  float growth, backoff;
  float interval;         // good steps in a row until the scale grows
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
