#pragma once
// Which Vulkan drivers the loader is shown. On a machine without a GPU the driver decides the speed, and a private copy
// of a recent Mesa lavapipe (third_party/lavapipe) is two to four times faster than the one Debian 12 installs.
#include <string>

namespace vkfer {

// Looks once for GPU device nodes and for the private lavapipe, and sets VK_DRIVER_FILES or VK_ADD_DRIVER_FILES for
// this process accordingly; environment variables the user has set are respected. Call it before the Vulkan loader is
// first used and before threads start; later calls only return the same line: which drivers were offered and why.
// Starts no driver, so it costs under a millisecond.
const std::string& choose_driver();

}  // namespace vkfer
