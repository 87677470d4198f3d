#include "tools/train/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "runtime/error.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kTemporary = ".writing-";

class File {
 public:
  File(const fs::path& path, int flags) : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) error("cannot open");
  }
  File(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) error("cannot write");
      bytes = bytes.subspan(size_t(n));
    }
  }
  void sync() {
    if (::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) error("cannot sync");
  }

 private:
  [[noreturn]] void error(const char* what) const {
    fail("write", "{}: {}: {}. Fix: check the folder, its permissions and the free space", path_.string(), what,
         std::strerror(errno));
  }
  fs::path path_;
  int fd_;
};

void replace(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path temporary = folder / (path.filename().string() + std::string(kTemporary) + std::to_string(::getpid()));
  try {
    {
      File file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
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
  File(folder, O_RDONLY | O_DIRECTORY).sync();
}

}  // namespace

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) fail("write", "{} is a folder, expected a file's name", path.string());
  if (fs::exists(status) && !fs::is_regular_file(status)) return File(path, O_WRONLY).write(bytes);
  replace(path, bytes);
}

void write_file(const fs::path& path, std::string_view text) { write_file(path, std::as_bytes(std::span(text))); }

void remove_temporary_files(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().find(kTemporary) != std::string::npos) fs::remove(entry.path(), error);
}

}  // namespace vkfer
