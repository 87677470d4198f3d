#pragma once
// Whole files in memory, and little-endian fields out of untrusted bytes.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace vkfer {

// Throws Error for a missing file, a folder, a device or a file above `limit`.
std::vector<std::byte> read_file(const std::filesystem::path& path, size_t limit);

// Caller has checked that `at` + the field lies inside.
inline uint32_t byte_at(std::span<const std::byte> b, size_t at) { return std::to_integer<uint32_t>(b[at]); }
inline uint32_t little16(std::span<const std::byte> b, size_t at) { return byte_at(b, at) | byte_at(b, at + 1) << 8; }
inline uint32_t little32(std::span<const std::byte> b, size_t at) { return little16(b, at) | little16(b, at + 2) << 16; }

}  // namespace vkfer
