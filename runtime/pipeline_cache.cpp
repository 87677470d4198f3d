#include "runtime/pipeline_cache.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

namespace vkfer {

static constexpr uint32_t kMagic = 0x43504656, kVersion = 1;  // "VFPC"
static constexpr uint64_t kMaxBytes = 256u << 20;

uint64_t hash_bytes(std::span<const std::byte> bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (std::byte byte : bytes) hash = (hash ^ uint64_t(byte)) * 0x100000001b3;
  return hash;
}

std::filesystem::path cache_folder() {
  auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  if (auto own = set("VKFER_CACHE_DIR"); !own.empty()) return own;
  if (auto xdg = set("XDG_CACHE_HOME"); !xdg.empty()) return xdg / "vkfer";
  if (auto home = set("HOME"); !home.empty()) return home / ".cache" / "vkfer";
  return {};
}

std::filesystem::path pipeline_cache_path(const DeviceInfo& info) {
  auto folder = cache_folder();
  if (folder.empty()) return {};
  return folder / fmt::format("pipelines-{}-{:x}.bin", info.uuid, info.driver_version);
}

static PipelineCacheHeader header_for(VkPhysicalDevice physical) {
  VkPhysicalDeviceProperties properties;
  vkGetPhysicalDeviceProperties(physical, &properties);
  PipelineCacheHeader header{kMagic, kVersion, properties.vendorID, properties.deviceID, properties.driverVersion,
                             {},     0,        0,                   0};
  std::memcpy(header.uuid, properties.pipelineCacheUUID, VK_UUID_SIZE);
  return header;
}

std::vector<std::byte> read_pipeline_cache(const std::filesystem::path& path, const PipelineCacheHeader& expected) {
  std::ifstream file(path, std::ios::binary);
  PipelineCacheHeader header;
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return {};
  if (std::memcmp(&header, &expected, offsetof(PipelineCacheHeader, payload_bytes))) return {};
  if (header.payload_bytes == 0 || header.payload_bytes > kMaxBytes) return {};
  std::error_code error;
  if (std::filesystem::file_size(path, error) != sizeof header + header.payload_bytes || error) return {};
  std::vector<std::byte> payload(header.payload_bytes);
  if (!file.read(reinterpret_cast<char*>(payload.data()), std::streamsize(payload.size()))) return {};
  if (hash_bytes(payload) != header.payload_hash) return {};
  return payload;
}

PipelineCache::PipelineCache(const VolkDeviceTable& vk, VkDevice device, VkPhysicalDevice physical, const DeviceInfo& info)
    : vk_(vk), device_(device), physical_(physical), path_(pipeline_cache_path(info)) {
  std::vector<std::byte> payload;
  if (!path_.empty()) payload = read_pipeline_cache(path_, header_for(physical));
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
  if (path_.empty() || vk_.vkGetPipelineCacheData(device_, handle_, &bytes, nullptr) != VK_SUCCESS || !bytes) return;
  std::vector<std::byte> payload(bytes);
  if (vk_.vkGetPipelineCacheData(device_, handle_, &bytes, payload.data()) != VK_SUCCESS || bytes > kMaxBytes) return;
  payload.resize(bytes);
  PipelineCacheHeader header = header_for(physical_);
  header.payload_bytes = bytes;
  header.payload_hash = hash_bytes(payload);
  if (header.payload_hash == loaded_hash_) return;
  std::error_code error;
  std::filesystem::create_directories(path_.parent_path(), error);
  std::filesystem::path temporary = path_;
  temporary += fmt::format(".{}.tmp", ::getpid());
  std::ofstream file(temporary, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof header);
  file.write(reinterpret_cast<const char*>(payload.data()), std::streamsize(bytes));
  file.close();
  if (file) std::filesystem::rename(temporary, path_, error);
  if (!file || error) std::filesystem::remove(temporary, error);
}

}  // namespace vkfer
