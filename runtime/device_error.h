#pragma once
// Failures of the device that a caller may want to tell apart. All are Errors of kind device (exit status 3).
#include "runtime/error.h"

namespace vkfer {

struct DeviceLost : Error {  // hung, reset, unplugged, or gave up silently: everything on the device is gone
  using Error::Error;
};
struct OutOfDeviceMemory : Error {
  using Error::Error;
};
struct OutOfHostMemory : Error {
  using Error::Error;
};

// Throws the Error for a VkResult other than VK_SUCCESS: "[where] doing: VK_ERROR_X. Fix: ...".
void check_vulkan(int result, std::string_view where, std::string_view doing);

}  // namespace vkfer
