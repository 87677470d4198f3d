#pragma once
// While it lives, no other process holds the same folder.
#include <filesystem>

namespace vkfer {

class FolderLock {
 public:
  // Waits a little for a process that was just killed; fails when another one holds it, or when the folder cannot be written.
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  int fd_ = -1;  // of <folder>/.lock; the file stays, or two processes could hold one each
};

// Is a process at work there? Changes nothing.
bool is_locked(const std::filesystem::path& folder);

}  // namespace vkfer
