#pragma once
// Files being written, with every error told: nothing is buffered here, so nothing is lost without a word.
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace vkfer {

// Throws Error naming the file and the reason: no such folder, not permitted, disk full.
class OutputFile {
 public:
  enum class Mode {
    create,     // made anew, or emptied
    append,     // made, or written on at its end
    existing,   // what is there: a pipe, /dev/stdout
  };
  explicit OutputFile(const std::filesystem::path& path, Mode mode = Mode::create);
  OutputFile(const OutputFile&) = delete;
  ~OutputFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void sync();                                   // to the disk
  void close();                                  // tells of errors that only then show; no more writing

 private:
  [[noreturn]] void error(const char* what) const;
  std::filesystem::path path_;
  int fd_;
};

// A file or folder that is there whole or not at all: written under a temporary name beside `path`, then renamed. What was
// not committed is removed again.
class NewPath {
 public:
  // Fails when `path` exists and is not empty, or when the folder that it lies in does not exist.
  explicit NewPath(std::filesystem::path path);
  NewPath(const NewPath&) = delete;
  ~NewPath();
  const std::filesystem::path& temporary() const { return temporary_; }
  void commit();  // syncs, and gives it its name

 private:
  std::filesystem::path path_, temporary_;
  bool committed_ = false;
};

// With all that lead to it; there already is fine.
void make_folder(const std::filesystem::path& folder);
// The names in `folder` to the disk, after a file in it was made or renamed.
void sync_folder(const std::filesystem::path& folder);

}  // namespace vkfer
