#pragma once
// Internal to runtime/: a Vulkan instance, with validation layers when asked, and the physical devices it finds.
#include <mutex>
#include <string>
#include <vector>

#include "runtime/device_info.h"
#include "runtime/vulkan.h"

namespace vkfer {

class Instance {
 public:
  // Throws Error(device) without a Vulkan loader or driver, or without the layer when validation is asked for.
  Instance(bool validation, bool sync_validation);
  ~Instance();
  Instance(const Instance&) = delete;

  struct Found {
    VkPhysicalDevice handle;
    DeviceInfo info;
  };
  std::vector<Found> devices() const;  // ranked as list_devices()

  std::vector<std::string> messages() const;  // of the validation layers; thread-safe
  void add_message(std::string);

 private:
  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  bool knows_matrices_ = true;  // validation layers older than VK_KHR_cooperative_matrix complain of it
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
};

// The device's description, before quirks and the environment.
DeviceInfo query_device(VkPhysicalDevice);
// The device's matrix shapes; may crash drivers that a quirk keeps away from it, so only after quirks.
std::vector<MatrixShape> query_matrix_shapes(VkInstance, VkPhysicalDevice);
// Index of the queue family for compute work, or -1.
int compute_family(VkPhysicalDevice);
bool has_extension(VkPhysicalDevice, const char* name);

}  // namespace vkfer
