#include "runtime/pipeline_cache.h"

#include <cstring>

namespace vkfer {

static CacheHeader header_for(VkPhysicalDevice physical) {
  VkPhysicalDeviceProperties properties;
  vkGetPhysicalDeviceProperties(physical, &properties);
  CacheHeader header;
  header.vendor = properties.vendorID;
  header.device = properties.deviceID;
  header.driver = properties.driverVersion;
  std::memcpy(header.uuid.data(), properties.pipelineCacheUUID, VK_UUID_SIZE);
  return header;
}

PipelineCache::PipelineCache(const VolkDeviceTable& vk, VkDevice device, VkPhysicalDevice physical, const DeviceInfo& info)
    : vk_(vk), device_(device), path_(pipeline_cache_path(info)), header_(header_for(physical)) {
  std::vector<std::byte> payload;
  if (!path_.empty()) payload = read_cache_file(path_, header_);
  loaded_hash_ = hash_bytes(payload);
  VkPipelineCacheCreateInfo create{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, nullptr, 0, payload.size(),
                                   payload.data()};
  if (vk_.vkCreatePipelineCache(device_, &create, nullptr, &handle_) == VK_SUCCESS) return;
  create.initialDataSize = 0;  // the driver disliked the payload
  check_vulkan(vk_.vkCreatePipelineCache(device_, &create, nullptr, &handle_), "pipeline cache", "creating it");
}

PipelineCache::~PipelineCache() { vk_.vkDestroyPipelineCache(device_, handle_, nullptr); }

void PipelineCache::save() {
  size_t bytes = 0;
  if (path_.empty() || vk_.vkGetPipelineCacheData(device_, handle_, &bytes, nullptr) != VK_SUCCESS) return;
  std::vector<std::byte> payload(bytes);
  if (vk_.vkGetPipelineCacheData(device_, handle_, &bytes, payload.data()) != VK_SUCCESS) return;
  payload.resize(bytes);
  if (hash_bytes(payload) != loaded_hash_) write_cache_file(path_, header_, payload);
}

}  // namespace vkfer
