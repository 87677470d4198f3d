#pragma once
// One decoder per library, for image.cpp only. Bytes begin with the format's magic; `name` is for messages.
#include <span>
#include <string_view>

#include "tools/data/image.h"

namespace vkfer {

Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name);
Image decode_png(std::span<const std::byte> bytes, std::string_view name);

enum class StbFormat { bmp, pnm, tga, gif };
Image decode_stb(std::span<const std::byte> bytes, StbFormat format, std::string_view name);

void check_image_size(int64_t width, int64_t height, std::string_view name);

// samples: [count][channels] with channels 2 (gray, alpha) or 4 (RGB, alpha), composited over white in place to 1 or 3.
void composite_over_white(std::vector<uint8_t>& samples, int channels);

}  // namespace vkfer
