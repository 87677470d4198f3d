#include "tools/train/views.h"

#include <algorithm>

#include "runtime/error.h"

namespace vkfer {

std::vector<View> test_time_views(std::string_view name, int size) {
  if (name.empty() || name == "none") return {{}};
  if (name == "flip") return {{}, {.mirrored = true}};
  if (name != "ten") fail("--tta", "got '{}', expected none, flip or ten", name.substr(0, 100));
  const int shift = std::max(1, size / 12);
  std::vector<View> views;
  for (const bool mirrored : {false, true})
    for (const auto& [dx, dy] : {std::pair{0, 0}, {-1, -1}, {1, -1}, {-1, 1}, {1, 1}}) views.push_back({mirrored, dx * shift, dy * shift});
  return views;
}

void look_at(const View& view, std::span<uint8_t> pixels, int size, int channels) {
  if (view.plain()) return;
  const size_t each = size_t(size) * size_t(size) * size_t(channels);
  std::vector<uint8_t> from(each);
  for (size_t first = 0; first < pixels.size(); first += each) {
    std::ranges::copy(pixels.subspan(first, each), from.begin());
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x) {
        const int along = std::clamp(x - view.dx, 0, size - 1), row = std::clamp(y - view.dy, 0, size - 1);
        const int column = view.mirrored ? size - 1 - along : along;
        std::copy_n(from.begin() + (ptrdiff_t(row) * size + column) * channels, channels, pixels.begin() + ptrdiff_t(first) + (ptrdiff_t(y) * size + x) * channels);
      }
  }
}

}  // namespace vkfer
