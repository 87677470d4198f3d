#pragma once
// Test-time augmentation: one picture seen in several ways, its answers averaged (as ten-crop of Krizhevsky et al., 2012).
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vkfer {

struct View {
  bool mirrored = false;
  int dx = 0, dy = 0;          // pixels to the right and down; the border goes on outwards
  bool plain() const { return !mirrored && dx == 0 && dy == 0; }
};

// none: the picture; flip: with its mirror image; ten: shifted by a twelfth to four corners as well, and all mirrored. Fails naming --tta.
std::vector<View> test_time_views(std::string_view name, int size);

// pixels [n,size,size,channels], in place.
void look_at(const View&, std::span<uint8_t> pixels, int size, int channels);

}  // namespace vkfer
