// BMP, PNM, TGA and GIF through stb_image, which fills what a truncated file lacks with zeros without a word: so the
// declared size is held against the length of the file first.
#include "runtime/error.h"
#include "tools/data/bytes.h"
#include "tools/data/codecs.h"

#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STBI_ONLY_TGA
#define STBI_ONLY_GIF
#define STBI_ONLY_PSD  // stb 2.30: PNM needs a helper that only PNG and PSD compile in; no PSD gets this far
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wtype-limits"
#include <stb_image.h>
#pragma GCC diagnostic pop

#include <cctype>
#include <memory>

namespace vkfer {
namespace {

constexpr const char* kFix = "Fix: replace or remove the file; --skip-bad leaves such files out";

// Bytes an uncompressed file must have; 0 where only decoding can tell.
size_t bmp_bytes(std::span<const std::byte> b) {
  if (b.size() < 34) return 54;
  if (little32(b, 14) == 12) {  // OS/2 header: 16-bit sizes, never compressed
    const size_t stride = (size_t{little16(b, 18)} * little16(b, 24) + 31) / 32 * 4;
    return little32(b, 10) + stride * little16(b, 20);
  }
  const auto width = static_cast<int32_t>(little32(b, 18)), height = static_cast<int32_t>(little32(b, 22));
  const uint32_t compression = little32(b, 30);
  if (width <= 0 || (compression != 0 && compression != 3)) return 0;  // stb refuses these itself
  const size_t stride = (static_cast<size_t>(width) * little16(b, 28) + 31) / 32 * 4;
  return little32(b, 10) + stride * static_cast<size_t>(std::abs(int64_t{height}));
}

size_t tga_bytes(std::span<const std::byte> b) {
  if (b.size() < 18) return 18;
  const size_t palette = byte_at(b, 1) ? size_t{little16(b, 5)} * ((byte_at(b, 7) + 7) / 8) : 0;
  const size_t pixels = size_t{little16(b, 12)} * little16(b, 14) * ((byte_at(b, 16) + 7) / 8);
  const bool run_length_coded = (byte_at(b, 2) & 8) != 0;
  return 18 + byte_at(b, 0) + palette + (run_length_coded ? 0 : pixels);
}

// "P5 width height maximum", blanks and # comments between, one blank before the samples.
size_t pnm_bytes(std::span<const std::byte> b) {
  size_t at = 2, numbers[3] = {};
  for (size_t& number : numbers) {
    while (at < b.size() && (std::isspace(static_cast<int>(byte_at(b, at))) || byte_at(b, at) == '#')) {
      if (byte_at(b, at) == '#')
        while (at < b.size() && byte_at(b, at) != '\n') ++at;
      else
        ++at;
    }
    while (at < b.size() && std::isdigit(static_cast<int>(byte_at(b, at))) && number < 1'000'000)
      number = number * 10 + (byte_at(b, at++) - '0');
  }
  const size_t channels = byte_at(b, 1) == '6' ? 3 : 1;
  return at + 1 + numbers[0] * numbers[1] * channels * (numbers[2] > 255 ? 2 : 1);
}

void check_length(std::span<const std::byte> bytes, StbFormat format, std::string_view name) {
  if (format == StbFormat::gif) {
    if (std::to_integer<int>(bytes.back()) != 0x3B)
      fail("gif", "'{}': the trailer byte 0x3B is missing, so the file is truncated. {}", name, kFix);
    return;
  }
  const size_t expected = format == StbFormat::bmp   ? bmp_bytes(bytes)
                          : format == StbFormat::tga ? tga_bytes(bytes)
                                                     : pnm_bytes(bytes);
  if (bytes.size() < expected)
    fail("image", "'{}': got {} bytes, expected {} or more for the size its header declares. {}", name, bytes.size(),
         expected, kFix);
}

}  // namespace

Image decode_stb(std::span<const std::byte> bytes, StbFormat format, std::string_view name) {
  check_length(bytes, format, name);
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(data, size, &width, &height, &channels))
    fail("image", "'{}': {}. {}", name, stbi_failure_reason(), kFix);
  check_image_size(width, height, name);
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &width, &height, &channels, channels), stbi_image_free);
  if (!pixels) fail("image", "'{}': {}. {}", name, stbi_failure_reason(), kFix);
  Image image{height, width, channels <= 2 ? 1 : 3, {}};
  image.pixels.assign(pixels.get(), pixels.get() + size_t(width) * height * channels);
  if (channels % 2 == 0) composite_over_white(image.pixels, channels);
  return image;
}

}  // namespace vkfer
