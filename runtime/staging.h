#pragma once
// Internal to runtime/: copies between the host and memory it cannot see, through a ring of mapped slots, so that the
// host fills one slot while the device empties another.
#include <array>
#include <cstddef>
#include <span>

#include "runtime/buffer.h"
#include "runtime/vulkan.h"

namespace vkfer {

// Not thread-safe: the device holds one behind a mutex.
class Staging {
 public:
  explicit Staging(DeviceState&);
  ~Staging();
  void upload(const Region& to, std::span<const std::byte> from);
  void download(const Region& from, std::span<std::byte> to);

 private:
  struct Slot {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    std::byte* mapped = nullptr;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFence fence = VK_NULL_HANDLE;
    bool pending = false;
    std::span<std::byte> target;  // of a download
  };
  void make_slot(Slot&);
  void submit(Slot&, VkBuffer from, VkBuffer to, const VkBufferCopy&);
  void retire(Slot&);  // waits, then hands a download to its target

  DeviceState& device_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::array<Slot, 2> slots_;
};

}  // namespace vkfer
