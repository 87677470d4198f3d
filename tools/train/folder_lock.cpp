#include "tools/train/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr std::chrono::seconds kPatience{3};

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ".lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("run", "{}: {}", path.string(), std::strerror(errno));
  // A process that was just killed holds its lock until the kernel has taken it apart, which may take a while.
  int error = 0;
  for (const auto end = std::chrono::steady_clock::now() + kPatience;;) {
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    error = errno;
    if (error != EWOULDBLOCK || std::chrono::steady_clock::now() > end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ::close(fd_);
  if (error == EWOULDBLOCK)
    fail("run", "{}: another process is training there. Fix: wait for it, or stop it", folder.string());
  fail("run", "{}: cannot lock: {}", path.string(), std::strerror(error));
}

bool is_locked(const std::filesystem::path& folder) {
  const int fd = ::open((folder / ".lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  // Held for a moment; a process that begins just then tries again.
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);  // and with it the lock
}

}  // namespace vkfer
