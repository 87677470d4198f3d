#pragma once
// Internal to runtime/: compiled pipelines, kept on disk between runs (cache_file.h).
#include "runtime/cache_file.h"
#include "runtime/vulkan.h"

namespace vkfer {

class PipelineCache {
 public:
  PipelineCache(const VolkDeviceTable&, VkDevice, VkPhysicalDevice, const DeviceInfo&);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  void save();  // when changed
  VkPipelineCache handle() const { return handle_; }

 private:
  const VolkDeviceTable& vk_;
  VkDevice device_;
  std::filesystem::path path_;  // empty: nowhere to keep it
  CacheHeader header_;
  uint64_t loaded_hash_ = 0;
  VkPipelineCache handle_ = VK_NULL_HANDLE;
};

}  // namespace vkfer
