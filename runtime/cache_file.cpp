#include "runtime/cache_file.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "runtime/error.h"

namespace vkfer {

static constexpr uint64_t kMaxBytes = 256u << 20;
static_assert(sizeof(CacheHeader) == 56);

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

std::vector<std::byte> read_cache_file(const std::filesystem::path& path, const CacheHeader& expected) {
  std::ifstream file(path, std::ios::binary);
  CacheHeader header;
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return {};
  if (std::memcmp(&header, &expected, offsetof(CacheHeader, payload_bytes))) return {};
  if (header.payload_bytes == 0 || header.payload_bytes > kMaxBytes) return {};
  std::error_code error;
  if (std::filesystem::file_size(path, error) != sizeof header + header.payload_bytes || error) return {};
  std::vector<std::byte> payload(header.payload_bytes);
  if (!file.read(reinterpret_cast<char*>(payload.data()), std::streamsize(payload.size()))) return {};
  if (hash_bytes(payload) != header.payload_hash) return {};
  return payload;
}

bool write_cache_file(const std::filesystem::path& path, CacheHeader header, std::span<const std::byte> payload) {
  if (payload.empty() || payload.size() > kMaxBytes) return false;
  header.payload_bytes = payload.size();
  header.payload_hash = hash_bytes(payload);
  static std::atomic<unsigned> counter{0};
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{}.{}.tmp", ::getpid(), counter++);
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream file(temporary, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof header);
  file.write(reinterpret_cast<const char*>(payload.data()), std::streamsize(payload.size()));
  file.close();
  bool written = bool(file);
  if (written) std::filesystem::rename(temporary, path, error);
  if (written && !error) return true;
  std::filesystem::remove(temporary, error);
  return false;
}

}  // namespace vkfer
