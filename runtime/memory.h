#pragma once
// Internal to runtime/: device memory in a few large blocks, handed out in pieces. Drivers allow as few as 4096
// allocations, and each is slow; a piece larger than a block gets an allocation of its own.
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/buffer.h"
#include "runtime/device_info.h"
#include "runtime/vulkan.h"

namespace vkfer {

struct MemoryBlock;

struct MemoryPiece {
  MemoryBlock* block = nullptr;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkDeviceSize offset = 0, bytes = 0;
  std::byte* mapped = nullptr;  // nullptr when the host cannot see it
};

// Thread-safe.
class MemoryPool {
 public:
  MemoryPool(const VolkDeviceTable&, VkDevice, VkPhysicalDevice, const DeviceInfo&);
  ~MemoryPool();
  MemoryPiece allocate(const VkMemoryRequirements&, Usage, const std::string& label);
  void release(const MemoryPiece&);
  size_t bytes() const;       // handed out now
  size_t peak_bytes() const;  // highest so far

 private:
  uint32_t memory_type(uint32_t allowed, Usage, const std::string& label) const;
  MemoryBlock& add_block(uint32_t type, VkDeviceSize bytes, const std::string& label);

  const VolkDeviceTable& vk_;
  VkDevice device_;
  VkPhysicalDeviceMemoryProperties memory_;
  bool unified_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<MemoryBlock>> blocks_;
  size_t bytes_ = 0, peak_bytes_ = 0;
};

}  // namespace vkfer
