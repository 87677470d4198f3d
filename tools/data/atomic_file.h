#pragma once
// Files that are either the old one or the new one, whatever happens in between.
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace vkfer {

// Writes a temporary file beside `path`, syncs it, renames it over `path` and syncs the folder. Throws Error when the
// folder is missing, not writable or full; `path` is then what it was. A path that exists and is no regular file
// (/dev/stdout, a pipe) is written directly.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

// Temporary files that a killed process left in `folder`. Only for who holds the folder's lock.
void remove_temporary_files(const std::filesystem::path& folder);

}  // namespace vkfer
