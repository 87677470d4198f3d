#pragma once
// The bytes of an HDF5 file, and which of them have been used: what h5_*.cpp read from.
#include <map>

#include "models/weights/bytes.h"

namespace vkfer {

inline constexpr uint64_t kH5Undefined = ~uint64_t{0};  // the address of what is not there

class H5Image {
 public:
  H5Image(std::span<const std::byte> bytes, std::string source);

  // For looking ahead at how large a structure is.
  ByteReader peek(uint64_t at, uint64_t bytes, const char* what) const;
  // For reading it: no byte belongs to two structures, so a loop, a copy of a name and an overlap all end here.
  ByteReader claim(uint64_t at, uint64_t bytes, const char* what);
  // The same, ending in a checksum of all before it, which is verified and not part of the reader.
  ByteReader claim_summed(uint64_t at, uint64_t bytes, const char* what);
  // Counts what is made out of the file; fails when that is far more than the file has.
  void spend(uint64_t bytes, uint64_t at, const char* what);

  const std::string& source() const { return source_; }
  uint64_t size() const { return bytes_.size(); }
  template <class... Args>
  [[noreturn]] void refuse(uint64_t at, fmt::format_string<Args...> format, Args&&... args) const {
    fail("h5", "{}: at byte {}: {}. Fix: download or save the file again", source_, at, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  struct Part {
    uint64_t end;
    const char* what;
  };
  std::span<const std::byte> bytes_;
  std::string source_;
  std::map<uint64_t, Part> used_;  // by where they begin
  uint64_t spent_ = 0;
};

// Bob Jenkins' lookup3, which the format's checksums and the order of its names are.
uint32_t h5_checksum(std::span<const std::byte>);

// A little-endian number of 0 to 8 bytes.
uint64_t h5_number(ByteReader&, uint64_t bytes);
// How many bytes the format takes for numbers up to `largest`.
uint64_t h5_number_bytes(uint64_t largest);

}  // namespace vkfer
