#pragma once
// What a device does at most, measured by us with shaders/peak_flops.comp and peak_copy.comp: a mark to hold kernels to.
// Not a figure of its maker: on a CPU driver it includes what the driver's compiler makes of the simplest loop there is.
#include "runtime/device.h"

namespace vkfer {

struct MachineLimits {
  double flops_per_second = 0;        // f32 multiply-adds in registers, each counted as two
  double copy_bytes_per_second = 0;   // read plus written, between buffers larger than the usual caches
};

MachineLimits measure_limits(Device&);   // about a second

}  // namespace vkfer
