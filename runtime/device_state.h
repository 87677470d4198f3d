#pragma once
// Internal to runtime/: what Device, Buffer, Kernel and CommandStream share. Kept alive by each of them.
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/instance.h"
#include "runtime/kernel.h"
#include "runtime/memory.h"
#include "runtime/pipeline_cache.h"
#include "runtime/staging.h"
#include "runtime/vulkan.h"

namespace vkfer {

struct DeviceState {
  std::unique_ptr<Instance> instance;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  DeviceInfo info;
  VolkDeviceTable vk{};
  VkDevice handle = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  uint32_t family = 0;
  std::unique_ptr<MemoryPool> memory;
  std::unique_ptr<PipelineCache> cache;
  std::mutex queue_mutex;  // a VkQueue is used by one thread at a time
  std::mutex kernel_mutex;
  std::map<std::pair<std::string, std::vector<uint32_t>>, std::unique_ptr<Kernel>> kernels;
  std::mutex staging_mutex;
  std::unique_ptr<Staging> staging;  // made by the first copy that needs it

  DeviceState() = default;
  DeviceState(const DeviceState&) = delete;
  ~DeviceState();
  void submit(VkCommandBuffer, VkFence);
};

struct BufferState {
  std::shared_ptr<DeviceState> device;
  std::string label;
  size_t bytes = 0;
  VkBuffer handle = VK_NULL_HANDLE;
  MemoryPiece memory;
  BufferState() = default;
  BufferState(const BufferState&) = delete;
  ~BufferState();
};

struct KernelState {
  DeviceState& device;
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkPipeline pipeline = VK_NULL_HANDLE;
  explicit KernelState(DeviceState& owner) : device(owner) {}
  KernelState(const KernelState&) = delete;
  ~KernelState();
};

// Throws an Error when the region is empty or leaves its buffer.
void check_region(const Region&, std::string_view where);

}  // namespace vkfer
