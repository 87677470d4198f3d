#include "tools/data/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "runtime/error.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFix = "Fix: check the folder, its permissions and the free space";

int flags_of(OutputFile::Mode mode) {
  switch (mode) {
    case OutputFile::Mode::create: return O_WRONLY | O_CREAT | O_TRUNC;
    case OutputFile::Mode::append: return O_WRONLY | O_CREAT | O_APPEND;
    default: return O_WRONLY;
  }
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

void sync_at(const fs::path& folder, int (*sync)(int)) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool failed = fd < 0 || (sync(fd) != 0 && errno != EINVAL && errno != EROFS);
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (failed) fail("write", "{}: cannot sync: {}. {}", folder.string(), std::strerror(error), kFix);
}

fs::path without_trailing_slash(fs::path path) { return path.has_filename() ? path : path.parent_path(); }

}  // namespace

OutputFile::OutputFile(const fs::path& path, Mode mode) : path_(path), fd_(::open(path.c_str(), flags_of(mode) | O_CLOEXEC, 0666)) {
  if (fd_ < 0) error("cannot open");
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error("cannot write");
    bytes = bytes.subspan(size_t(n));
  }
}

void OutputFile::sync() {
  if (::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) error("cannot sync");
}

void OutputFile::close() {
  const int fd = fd_;
  fd_ = -1;
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) error("cannot close");  // a quota on a network's disk may show here
}

void OutputFile::error(const char* what) const { fail("write", "{}: {}: {}. {}", path_.string(), what, std::strerror(errno), kFix); }

NewPath::NewPath(fs::path path) : path_(without_trailing_slash(std::move(path))) {
  if (!path_.has_filename() || path_.filename() == "." || path_.filename() == "..")
    fail("write", "'{}' names no file or folder of its own. Fix: give it a name", path_.string());
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (fs::exists(status)) {
    const bool own = fs::is_directory(status) || fs::is_regular_file(status);
    if (!own || !fs::is_empty(path_, error) || error)
      fail("write", "'{}' exists and is {}. Fix: name another, or remove it first", path_.string(), own ? "not empty" : "no plain file");
  }
  if (!fs::is_directory(folder_of(path_), error))
    fail("write", "the folder '{}' does not exist. Fix: mkdir -p {}", folder_of(path_).string(), folder_of(path_).string());
  temporary_ = folder_of(path_) / fmt::format("{}.writing-{}", path_.filename().string(), ::getpid());
  fs::remove_all(temporary_, error);  // of a process of the same number that was killed
}

NewPath::~NewPath() {
  std::error_code error;
  if (!committed_) fs::remove_all(temporary_, error);
}

void NewPath::commit() {
  std::error_code error;
  if (fs::is_directory(temporary_, error))
    sync_at(temporary_, ::syncfs);  // one call for all that was written, however many files
  else if (fs::is_directory(path_, error))
    fs::remove(path_, error);  // empty: a file cannot take its place otherwise
  fs::rename(temporary_, path_, error);
  if (error) fail("write", "{}: {}. {}", path_.string(), error.message(), kFix);
  committed_ = true;
  sync_folder(folder_of(path_));
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("write", "{}: cannot make the folder: {}. {}", folder.string(), error.message(), kFix);
}

void sync_folder(const fs::path& folder) { sync_at(folder, ::fsync); }

}  // namespace vkfer
