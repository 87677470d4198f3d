// Many tensors in one buffer: the table that says where each lies, and push constants. Read by GLSL and by C++.
#ifndef VKFER_PARAMS_PACK_H
#define VKFER_PARAMS_PACK_H
#ifdef __cplusplus
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

struct PackRange {        // a tensor, or a part of it
  uint first_group;       // its first workgroup
  uint first_vector;      // its first vec4 in the bound range
  uint count;             // elements
  float rate_factor;      // of the learning rate
  float decay_factor;     // of the weight decay
};

struct Pack {
  uint ranges;            // entries of the table, at least one
  uint groups;
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
