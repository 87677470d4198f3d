#include "tools/data/bytes.h"

#include <fstream>

#include "runtime/error.h"

namespace vkfer {

std::vector<std::byte> read_file(const std::filesystem::path& path, size_t limit) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (!std::filesystem::exists(status)) fail("read file", "'{}' does not exist. Fix: check the path", path.string());
  if (!std::filesystem::is_regular_file(status))
    fail("read file", "'{}' is not a regular file. Fix: name a file", path.string());
  const uintmax_t size = std::filesystem::file_size(path, code);
  if (code) fail("read file", "'{}': {}", path.string(), code.message());
  if (size > limit) fail("read file", "'{}' has {} bytes, expected at most {}", path.string(), size, limit);
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("read file", "'{}' cannot be opened. Fix: check its permissions", path.string());
  std::vector<std::byte> bytes(size);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (static_cast<uintmax_t>(file.gcount()) != size)
    fail("read file", "'{}': read {} of {} bytes", path.string(), file.gcount(), size);
  return bytes;
}

}  // namespace vkfer
