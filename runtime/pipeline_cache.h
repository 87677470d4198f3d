#pragma once
// Internal to runtime/: compiled pipelines kept on disk between runs. A file is used only when every field of its
// header fits this device and driver and its payload hashes right; anything else is ignored and rewritten.
#include <filesystem>
#include <span>
#include <vector>

#include "runtime/device_info.h"
#include "runtime/vulkan.h"

namespace vkfer {

class PipelineCache {
 public:
  PipelineCache(const VolkDeviceTable&, VkDevice, VkPhysicalDevice, const DeviceInfo&);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  void save();  // by temporary file and rename, when changed; a folder that cannot be written is no error
  VkPipelineCache handle() const { return handle_; }

 private:
  const VolkDeviceTable& vk_;
  VkDevice device_;
  VkPhysicalDevice physical_;
  std::filesystem::path path_;  // empty: nowhere to keep it
  uint64_t loaded_hash_ = 0;
  VkPipelineCache handle_ = VK_NULL_HANDLE;
};

// $VKFER_CACHE_DIR, else $XDG_CACHE_HOME/vkfer, else ~/.cache/vkfer; empty when none is set.
std::filesystem::path cache_folder();
std::filesystem::path pipeline_cache_path(const DeviceInfo&);

// What stands before the payload in the file.
struct PipelineCacheHeader {
  uint32_t magic, version, vendor, device, driver;
  uint8_t uuid[VK_UUID_SIZE];
  uint32_t reserved;
  uint64_t payload_bytes, payload_hash;
};
std::vector<std::byte> read_pipeline_cache(const std::filesystem::path&, const PipelineCacheHeader& expected);
uint64_t hash_bytes(std::span<const std::byte>);  // FNV-1a

}  // namespace vkfer
