#pragma once
// What activations and their gradients are stored as. Parameters, statistics, logits, losses, gradients of parameters and the
// optimizer are f32 whatever the precision, and every sum is accumulated in f32.
#include <string>
#include <string_view>

#include "graph/op.h"
#include "runtime/device_info.h"

namespace vkfer {

// Fails unless it is fp32, fp16 or auto.
void check_precision(std::string_view precision);

// "fp32" or "fp16". auto: fp16 where the device stores 16 bits and multiplies them in its matrix units, never on a CPU driver.
// fp16 fails where the device cannot store it.
std::string resolve_precision(std::string_view precision, const DeviceInfo&, const Target&);

// Of a resolved precision.
DType storage_of(std::string_view precision);

}  // namespace vkfer
