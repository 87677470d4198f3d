#pragma once
// The file that keeps compiled pipelines between runs. It is used only when every field of its header fits and its
// payload hashes right; anything else is ignored and rewritten.
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "runtime/device_info.h"

namespace vkfer {

// What stands before the payload, in the machine's own byte order. No padding.
struct CacheHeader {
  std::array<char, 8> magic{'v', 'k', 'f', 'e', 'r', 'P', 'C', '1'};
  uint32_t vendor = 0, device = 0, driver = 0, reserved = 0;
  std::array<uint8_t, 16> uuid{};  // pipelineCacheUUID of the driver
  uint64_t payload_bytes = 0, payload_hash = 0;
};

// $VKFER_CACHE_DIR, else $XDG_CACHE_HOME/vkfer, else ~/.cache/vkfer; empty when none is set.
std::filesystem::path cache_folder();
std::filesystem::path pipeline_cache_path(const DeviceInfo&);

// The payload, or nothing when the file is not what `expected` describes (its payload fields are not compared).
std::vector<std::byte> read_cache_file(const std::filesystem::path&, const CacheHeader& expected);

// By temporary file and rename. Returns false when the folder cannot be written: a cache is no reason to fail.
bool write_cache_file(const std::filesystem::path&, CacheHeader, std::span<const std::byte> payload);

uint64_t hash_bytes(std::span<const std::byte>);  // FNV-1a

}  // namespace vkfer
