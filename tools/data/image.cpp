#include "tools/data/image.h"

#include <cstring>

#include "runtime/error.h"
#include "tools/data/bytes.h"
#include "tools/data/codecs.h"
#include "tools/data/exif.h"

namespace vkfer {
namespace {

bool begins(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// TGA has no magic: this accepts the headers real files have, and random bytes about once in a million.
bool looks_like_tga(std::span<const std::byte> b) {
  if (b.size() < 18) return false;
  const uint32_t palette = byte_at(b, 1), type = byte_at(b, 2) & ~8u, depth = byte_at(b, 16);
  const bool depth_fits = depth == 8 || depth == 15 || depth == 16 || depth == 24 || depth == 32;
  const bool type_fits = (type == 1 && palette == 1) || ((type == 2 || type == 3) && palette == 0);
  return type_fits && depth_fits && byte_at(b, 2) < 16 && little16(b, 12) > 0 && little16(b, 14) > 0;
}

// What phones and browsers write and no decoder of ours reads; "" for anything else.
std::string_view foreign_format(std::span<const std::byte> b) {
  if (begins(b, "RIFF") && b.size() >= 12 && begins(b.subspan(8), "WEBP")) return "WebP";
  if (begins(b, {"II*\0", 4}) || begins(b, {"MM\0*", 4})) return "TIFF";
  if (begins(b, {"\0\0\1\0", 4})) return "an icon";
  if (begins(b, "%PDF")) return "PDF";
  if (begins(b, "<svg") || begins(b, "<?xml")) return "SVG";
  if (begins(b, "\xFF\x0A") || begins(b, {"\0\0\0\x0CJXL ", 8})) return "JPEG XL";
  if (b.size() < 12 || !begins(b.subspan(4), "ftyp")) return "";
  return begins(b.subspan(8), "avif") ? "AVIF" : begins(b.subspan(8), "he") || begins(b.subspan(8), "mif1") || begins(b.subspan(8), "msf1") ? "HEIC" : "a video";
}

}  // namespace

void check_image_size(int64_t width, int64_t height, std::string_view name) {
  if (width <= 0 || height <= 0 || width > kMaxPixels / height)
    fail("image", "'{}': {}x{} pixels, expected between 1 and {} million. Fix: scale the picture down", name, width,
         height, kMaxPixels / 1'000'000);
}

void composite_over_white(std::vector<uint8_t>& samples, int channels) {
  const size_t colours = static_cast<size_t>(channels) - 1;
  const size_t count = samples.size() / static_cast<size_t>(channels);
  for (size_t i = 0; i < count; ++i) {
    const unsigned alpha = samples[i * channels + colours];
    for (size_t c = 0; c < colours; ++c)
      samples[i * colours + c] =
          static_cast<uint8_t>((samples[i * channels + c] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
  samples.resize(count * colours);
}

Image decode_image(std::span<const std::byte> bytes, std::string_view name) {
  if (bytes.empty()) fail("image", "'{}' is empty. Fix: replace or remove it; --skip-bad leaves such files out", name);
  if (bytes.size() > kMaxImageFileBytes)
    fail("image", "'{}': {} bytes, expected at most {}", name, bytes.size(), kMaxImageFileBytes);
  if (begins(bytes, "\xFF\xD8\xFF")) return decode_jpeg(bytes, name);
  if (begins(bytes, "\x89PNG\r\n\x1A\n")) return decode_png(bytes, name);
  if (begins(bytes, "BM")) return decode_stb(bytes, StbFormat::bmp, name);
  if (begins(bytes, "GIF87a") || begins(bytes, "GIF89a")) return decode_stb(bytes, StbFormat::gif, name);
  if (begins(bytes, "P5") || begins(bytes, "P6")) return decode_stb(bytes, StbFormat::pnm, name);
  if (const std::string_view format = foreign_format(bytes); !format.empty())
    fail("image", "'{}' is {}, which cannot be read. Fix: convert it to JPEG or PNG", name, format);
  if (looks_like_tga(bytes)) return decode_stb(bytes, StbFormat::tga, name);
  fail("image",
       "'{}' is not an image that can be read: expected JPEG, PNG, BMP, PNM (P5, P6), TGA or GIF. Fix: convert or "
       "remove it; --skip-bad leaves such files out",
       name);
}

Image read_image(const std::filesystem::path& path) {
  return decode_image(read_file(path, kMaxImageFileBytes), path.string());
}

Image decode_upright(std::span<const std::byte> bytes, std::string_view name) { return turned_upright(decode_image(bytes, name), exif_orientation(bytes)); }

Image read_upright(const std::filesystem::path& path) { return decode_upright(read_file(path, kMaxImageFileBytes), path.string()); }

Image convert_channels(Image image, int channels) {
  if (image.channels == channels) return image;
  const size_t count = static_cast<size_t>(image.width) * image.height;
  std::vector<uint8_t> out(count * channels);
  const uint8_t* in = image.pixels.data();
  for (size_t i = 0; i < count; ++i) {
    if (channels == 3)
      out[i * 3] = out[i * 3 + 1] = out[i * 3 + 2] = in[i];
    else
      out[i] = static_cast<uint8_t>((299 * in[i * 3] + 587 * in[i * 3 + 1] + 114 * in[i * 3 + 2] + 500) / 1000);
  }
  return Image{image.height, image.width, channels, std::move(out)};
}

Image crop_image(const Image& image, int x, int y, int width, int height, std::string_view name) {
  if (x < 0 || y < 0 || width <= 0 || height <= 0 || width > image.width - x || height > image.height - y)
    fail("image", "'{}': box x={} y={} w={} h={} leaves the image of {}x{} pixels. Fix: correct the box", name, x, y,
         width, height, image.width, image.height);
  Image part{height, width, image.channels, {}};
  const size_t row = static_cast<size_t>(width) * image.channels;
  part.pixels.reserve(row * height);
  for (int r = y; r < y + height; ++r) {
    const uint8_t* from = image.pixels.data() + (static_cast<size_t>(r) * image.width + x) * image.channels;
    part.pixels.insert(part.pixels.end(), from, from + row);
  }
  return part;
}

}  // namespace vkfer
