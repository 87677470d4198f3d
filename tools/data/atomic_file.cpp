#include "tools/data/atomic_file.h"

#include <unistd.h>

#include <string>

#include "runtime/error.h"
#include "tools/data/output_file.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kTemporary = ".writing-";

void replace(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path temporary = folder / (path.filename().string() + std::string(kTemporary) + std::to_string(::getpid()));
  try {
    {
      OutputFile file(temporary);
      file.write(bytes);
      file.sync();
    }
    std::error_code error;
    fs::rename(temporary, path, error);
    if (error) fail("write", "{}: {}", path.string(), error.message());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder);
}

}  // namespace

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) fail("write", "{} is a folder, expected a file's name", path.string());
  if (fs::exists(status) && !fs::is_regular_file(status)) return OutputFile(path, OutputFile::Mode::existing).write(bytes);
  replace(path, bytes);
}

void write_file(const fs::path& path, std::string_view text) { write_file(path, std::as_bytes(std::span(text))); }

void remove_temporary_files(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().find(kTemporary) != std::string::npos) fs::remove(entry.path(), error);
}

}  // namespace vkfer
