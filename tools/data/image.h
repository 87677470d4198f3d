#pragma once
// Decoded images and the readers of image files. Every reader treats its bytes as hostile.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace vkfer {

// [height, width, channels], 8 bits per channel, rows top to bottom. Owns its pixels.
struct Image {
  int height = 0, width = 0;
  int channels = 0;  // 1 gray or 3 RGB
  std::vector<uint8_t> pixels;
};

constexpr int64_t kMaxPixels = 100'000'000;               // checked before anything is allocated
constexpr size_t kMaxImageFileBytes = size_t{256} << 20;  // of one encoded file

// JPEG, PNG, BMP, PNM (P5, P6), TGA and GIF (its first frame), told apart by their first bytes, never by the suffix.
// Truncated or corrupt files are errors, never partial pictures. `name` is only for messages.
//  * gray stays 1 channel, CMYK becomes RGB, 16 bits become 8, palettes become RGB
//  * transparency is composited over white: dropping it would show whatever colour hides under transparent pixels
Image decode_image(std::span<const std::byte> bytes, std::string_view name);
Image read_image(const std::filesystem::path& path);

// The same, turned as the file's Exif data says the camera was held: what a person sees, for pictures that people bring. Data sets are read as
// they are stored, as other frameworks do: boxes and figures of theirs are of those pixels.
Image decode_upright(std::span<const std::byte> bytes, std::string_view name);
Image read_upright(const std::filesystem::path& path);

std::vector<std::byte> png_bytes(const Image& image, std::string_view name);
std::vector<std::byte> jpeg_bytes(const Image& image, std::string_view name, int quality = 92);
void write_png(const std::filesystem::path& path, const Image& image);

// Gray -> RGB by replication, RGB -> gray as luma .299 R + .587 G + .114 B (rounded), or the image as it is.
Image convert_channels(Image image, int channels);

// The part [y, y+height) x [x, x+width); throws when it leaves the image.
Image crop_image(const Image& image, int x, int y, int width, int height, std::string_view name);

}  // namespace vkfer
