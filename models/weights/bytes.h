#pragma once
// Reading numbers out of bytes that nobody vouches for: every access is checked against the end.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "runtime/error.h"

namespace vkfer {

inline constexpr uint64_t kMaxFileBytes = uint64_t(8) << 30;  // of a weight file, and of all that it unpacks to

// A name as a message may show it: printable and short.
std::string shown(std::string_view name);

// A position in `bytes` that moves forward; what it reads is little-endian. Errors name the source and the offset, which
// counts from `base`.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string where, std::string source, uint64_t base = 0)
      : bytes_(bytes), where_(std::move(where)), source_(std::move(source)), base_(base) {}

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::span<const std::byte> take(uint64_t count) {
    if (count > left()) damaged("got {} bytes, expected {} more: cut short, or not what it claims to be", left(), count);
    const auto taken = bytes_.subspan(size_t(at_), size_t(count));
    at_ += count;
    return taken;
  }
  std::string_view text(uint64_t count) { return as_text(take(count)); }
  std::string_view line();                       // up to '\n', which is passed over

  uint64_t at() const { return at_; }            // in `bytes`
  uint64_t left() const { return bytes_.size() - at_; }
  uint64_t base() const { return base_; }        // where `bytes` begins in the source
  const std::string& source() const { return source_; }
  static std::string_view as_text(std::span<const std::byte> b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

  template <class... Args>
  [[noreturn]] void damaged(fmt::format_string<Args...> format, Args&&... args) const {
    fail(where_, "{}: at byte {}: {}. Fix: download or save the file again", source_, base_ + at_, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
  std::string where_, source_;
  uint64_t base_;
};

}  // namespace vkfer
