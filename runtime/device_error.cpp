#include "runtime/device_error.h"

#include "runtime/vulkan.h"

namespace vkfer {

static constexpr const char* kSmaller =
    "use a smaller --batch or --size, or a smaller model; other programs on the device take memory too";
static constexpr const char* kLost =
    "the driver reset the device: see the kernel log (dmesg); a long-running kernel trips the watchdog (smaller --batch), "
    "otherwise update the driver or choose another --device";

static const char* result_name(int result) {
  switch (result) {
    case VK_NOT_READY: return "VK_NOT_READY";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_INCOMPLETE: return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED: return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTED_POOL: return "VK_ERROR_FRAGMENTED_POOL";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "VK_ERROR_OUT_OF_POOL_MEMORY";
    default: return "VkResult";
  }
}

void check_vulkan(int result, std::string_view where, std::string_view doing) {
  if (result == VK_SUCCESS) return;
  auto what = [&](const char* fix) {
    return fmt::format("{}: got {} ({}). Fix: {}", doing, result_name(result), result, fix);
  };
  switch (result) {
    case VK_ERROR_DEVICE_LOST: throw DeviceLost(ErrorKind::device, where, what(kLost));
    case VK_TIMEOUT: throw DeviceLost(ErrorKind::device, where, what(kLost));
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: throw OutOfDeviceMemory(ErrorKind::device, where, what(kSmaller));
    case VK_ERROR_OUT_OF_HOST_MEMORY:
      throw OutOfHostMemory(ErrorKind::device, where, what("free memory of this computer, or use a smaller --batch"));
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      throw Error(ErrorKind::device, where,
                  what("install a Vulkan driver: the GPU vendor's, or mesa-vulkan-drivers (also the CPU driver)"));
    default: throw Error(ErrorKind::device, where, what("update the driver, or choose another --device"));
  }
}

}  // namespace vkfer
