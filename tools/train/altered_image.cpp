#include "tools/train/altered_image.h"

#include <algorithm>

#include "graph/ops/ops.h"

namespace vkfer {
namespace {

// The row for a square of the shorter side, put in the middle of the picture: p -> T(d) M T(-d).
WarpRow centred(WarpRow row, double dx, double dy) {
  if (dx == 0 && dy == 0) return row;
  for (size_t r = 0; r < 9; r += 3) row[r + 2] = float(row[r + 2] - row[r] * dx - row[r + 1] * dy);
  for (size_t c = 0; c < 3; ++c) row[c] = float(row[c] + dx * row[6 + c]), row[3 + c] = float(row[3 + c] + dy * row[6 + c]);
  if (row[15] > row[13]) row[13] += float(dy), row[15] += float(dy), row[14] += float(dx), row[16] += float(dx);
  return row;
}

Image warped(const Image& image, const WarpRow& row) {
  const Shape shape{1, image.height, image.width, image.channels};
  std::vector<HostTensor> in{HostTensor(shape), HostTensor(Shape{1, int64_t(row.size())})}, out{HostTensor(shape)};
  std::ranges::copy(image.pixels, in[0].data.begin());
  std::ranges::copy(row, in[1].data.begin());
  ops::warp.reference({}, in, out);
  Image result{image.height, image.width, image.channels, {}};
  for (const double v : out[0].data) result.pixels.push_back(uint8_t(std::clamp(v, 0.0, 255.0)));
  return result;
}

}  // namespace

Image altered(const Image& image, const AlterSettings& s, uint32_t version, uint32_t key) {
  const int side = std::min(image.height, image.width);
  const WarpRow row = warp_row(s.warp, s.seed, version, key, side, image.pixels, image.channels);
  const Image turned = s.warp.any() ? warped(image, centred(row, 0.5 * (image.width - side), 0.5 * (image.height - side))) : image;
  const bool slides = s.crop == 0 && s.slide > 0;
  const int reach = slides ? std::max(1, int(s.slide * side)) : s.crop;
  return moved(turned, augmentation(s.seed, version, key, reach, s.flip ? 0.5f : 0.0f), slides ? Border::edge : Border::black);
}

Image moved(const Image& image, const Augmentation& a, Border border) {
  Image out{image.height, image.width, image.channels, std::vector<uint8_t>(image.pixels.size())};
  const auto at = [&](int y, int x) { return (size_t(y) * size_t(image.width) + size_t(x)) * size_t(image.channels); };
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      int row = y - a.dy, column = (a.flip ? image.width - 1 - x : x) - a.dx;
      if (border == Border::edge) row = std::clamp(row, 0, image.height - 1), column = std::clamp(column, 0, image.width - 1);
      if (row < 0 || row >= image.height || column < 0 || column >= image.width) continue;
      std::copy_n(image.pixels.begin() + ptrdiff_t(at(row, column)), image.channels, out.pixels.begin() + ptrdiff_t(at(y, x)));
    }
  return out;
}

}  // namespace vkfer
