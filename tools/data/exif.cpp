#include "tools/data/exif.h"

#include <cstring>
#include <string_view>

#include "tools/data/bytes.h"

namespace vkfer {
namespace {

using Span = std::span<const std::byte>;

bool begins(Span bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

uint32_t big16(Span b, size_t at) { return byte_at(b, at) << 8 | byte_at(b, at + 1); }
uint32_t big32(Span b, size_t at) { return big16(b, at) << 16 | big16(b, at + 2); }

// The TIFF header and its first directory: II or MM, 42, where the directory is; there a count and 12 bytes for each entry.
int orientation_of_tiff(Span t) {
  if (t.size() < 8) return 1;
  const bool little = begins(t, "II"), big = begins(t, "MM");
  const auto u16 = [&](size_t at) { return little ? little16(t, at) : big16(t, at); };
  const auto u32 = [&](size_t at) { return little ? little32(t, at) : big32(t, at); };
  if ((!little && !big) || u16(2) != 42) return 1;
  const size_t directory = u32(4);
  if (directory > t.size() || t.size() - directory < 2) return 1;
  const size_t entries = u16(directory);
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + 12 * i;
    if (t.size() < 12 || at > t.size() - 12) return 1;
    if (u16(at) != 0x0112) continue;
    const uint32_t type = u16(at + 2), count = u32(at + 4), value = u16(at + 8);
    return type == 3 && count == 1 && value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 1;
}

// The segments in front of the first scan: FF, marker, length with itself, content.
int orientation_of_jpeg(Span b) {
  for (size_t at = 2; at + 4 <= b.size();) {
    if (byte_at(b, at) != 0xFF) return 1;
    const uint32_t marker = byte_at(b, at + 1);
    if (marker == 0xFF) {   // a byte to fill
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return 1;
    const size_t length = big16(b, at + 2);
    if (length < 2 || length > b.size() - at - 2) return 1;
    const Span content = b.subspan(at + 4, length - 2);
    if (marker == 0xE1 && begins(content, std::string_view("Exif\0\0", 6))) return orientation_of_tiff(content.subspan(6));
    at += 2 + length;
  }
  return 1;
}

// Chunks: length, type, content, checksum (which libpng has checked where it matters).
int orientation_of_png(Span b) {
  for (size_t at = 8; at + 12 <= b.size();) {
    const size_t length = big32(b, at);
    if (length > b.size() - at - 12) return 1;
    if (begins(b.subspan(at + 4), "eXIf")) return orientation_of_tiff(b.subspan(at + 8, length));
    at += 12 + length;
  }
  return 1;
}

}  // namespace

int exif_orientation(Span file) {
  if (begins(file, "\xFF\xD8\xFF")) return orientation_of_jpeg(file);
  if (begins(file, "\x89PNG\r\n\x1A\n")) return orientation_of_png(file);
  return 1;
}

Image turned_upright(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool swapped = orientation >= 5;
  const int height = image.height, width = image.width;
  Image out{swapped ? width : height, swapped ? height : width, image.channels, {}};
  out.pixels.resize(image.pixels.size());
  // Where row 0 and column 0 of what is stored are seen: 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top, 7 right bottom,
  // 8 left bottom.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  uint8_t* to = out.pixels.data();
  const size_t channels = size_t(image.channels);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x, to += channels) {
      const int row = swapped ? x : y, column = swapped ? y : x;
      const size_t r = size_t(from_bottom ? height - 1 - row : row), c = size_t(from_right ? width - 1 - column : column);
      std::memcpy(to, image.pixels.data() + (r * size_t(width) + c) * channels, channels);
    }
  return out;
}

}  // namespace vkfer
