#include "models/weights/h5_image.h"

#include <algorithm>
#include <bit>

namespace vkfer {
namespace {

constexpr uint64_t kFreely = 256 << 20, kMaxRatio = 16;  // what is unpacked may come to so much, and so many times the file

uint32_t word(std::span<const std::byte> b, size_t at) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4 && at + i < b.size(); ++i) v |= uint32_t(b[at + i]) << (8 * i);
  return v;
}

}  // namespace

H5Image::H5Image(std::span<const std::byte> bytes, std::string source) : bytes_(bytes), source_(std::move(source)) {}

ByteReader H5Image::peek(uint64_t at, uint64_t bytes, const char* what) const {
  if (at > bytes_.size() || bytes > bytes_.size() - at)
    refuse(at, "{}: got {} bytes, expected them within the {} of the file", what, bytes, bytes_.size());
  return ByteReader(bytes_.subspan(size_t(at), size_t(bytes)), "h5", source_, at);
}

ByteReader H5Image::claim(uint64_t at, uint64_t bytes, const char* what) {
  const ByteReader r = peek(at, bytes, what);
  if (bytes == 0) return r;
  const auto next = used_.lower_bound(at);
  if (next != used_.end() && next->first < at + bytes) refuse(at, "{}: overlaps the {} at byte {}", what, next->second.what, next->first);
  if (next != used_.begin())
    if (const auto before = std::prev(next); before->second.end > at) refuse(at, "{}: overlaps the {} at byte {}", what, before->second.what, before->first);
  used_.emplace_hint(next, at, Part{at + bytes, what});
  return r;
}

ByteReader H5Image::claim_summed(uint64_t at, uint64_t bytes, const char* what) {
  ByteReader all = claim(at, bytes, what);
  if (bytes < 4) all.damaged("{}: got {} bytes, expected at least its checksum", what, bytes);
  const auto body = all.take(bytes - 4);
  const uint32_t got = h5_checksum(body), expected = all.number<uint32_t>();
  if (got != expected) refuse(at, "{}: got the checksum {:08x}, expected {:08x}", what, got, expected);
  return ByteReader(body, "h5", source_, at);
}

void H5Image::spend(uint64_t bytes, uint64_t at, const char* what) {
  const uint64_t limit = std::min(kMaxFileBytes, kFreely + kMaxRatio * bytes_.size());
  if (bytes > limit || spent_ > limit - bytes) refuse(at, "{}: got {} bytes more, expected the file to unpack to at most {}", what, bytes, limit);
  spent_ += bytes;
}

uint32_t h5_checksum(std::span<const std::byte> bytes) {
  uint32_t a = 0xdeadbeef + uint32_t(bytes.size()), b = a, c = a;
  size_t at = 0;
  for (; bytes.size() - at > 12; at += 12) {
    a += word(bytes, at), b += word(bytes, at + 4), c += word(bytes, at + 8);
    const auto mix = [](uint32_t& x, uint32_t& y, uint32_t& z, int turn) { x -= z, x ^= std::rotl(z, turn), z += y; };
    mix(a, b, c, 4), mix(b, c, a, 6), mix(c, a, b, 8), mix(a, b, c, 16), mix(b, c, a, 19), mix(c, a, b, 4);
  }
  if (at == bytes.size()) return c;
  a += word(bytes, at), b += word(bytes, at + 4), c += word(bytes, at + 8);
  const auto last = [](uint32_t& x, uint32_t y, int turn) { x ^= y, x -= std::rotl(y, turn); };
  last(c, b, 14), last(a, c, 11), last(b, a, 25), last(c, b, 16), last(a, c, 4), last(b, a, 14), last(c, b, 24);
  return c;
}

uint64_t h5_number(ByteReader& r, uint64_t bytes) {
  uint64_t v = 0;
  const auto taken = r.take(bytes);
  for (size_t i = 0; i < taken.size(); ++i) v |= uint64_t(taken[i]) << (8 * i);
  return v;
}

uint64_t h5_number_bytes(uint64_t largest) { return uint64_t(std::bit_width(largest) + 7) / 8; }

}  // namespace vkfer
