#include "tools/train/warp.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tools/data/philox.h"

namespace vkfer {
namespace {

using Matrix = std::array<double, 9>;  // by rows

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k) c[size_t(3 * i + j)] += a[size_t(3 * i + k)] * b[size_t(3 * k + j)];
  return c;
}

double mean_gray(std::span<const uint8_t> pixels, int channels) {
  if (pixels.empty()) return 0;
  double sum = 0;
  if (channels != 3) {
    for (const uint8_t p : pixels) sum += p;
    return sum / double(pixels.size());
  }
  for (size_t i = 0; i + 2 < pixels.size(); i += 3) sum += 0.299 * pixels[i] + 0.587 * pixels[i + 1] + 0.114 * pixels[i + 2];
  return sum / double(pixels.size() / 3);
}

}  // namespace

bool WarpSettings::any() const {
  return rotate > 0 || shift > 0 || shear > 0 || zoom > 0 || perspective > 0 || brightness > 0 || contrast > 0 || saturation > 0 || erase > 0;
}

// Every number is drawn, whatever the settings: one setting more changes nothing about the others.
WarpRow warp_row(const WarpSettings& s, uint64_t seed, uint32_t epoch, uint32_t sample, int size, std::span<const uint8_t> pixels, int channels) {
  PhiloxSequence random(seed, PhiloxStream::warp, epoch, sample);
  const auto about = [&](double x) { return x * (2.0 * double(random.uniform()) - 1.0); };
  const double degree = std::numbers::pi / 180;
  const double angle = about(s.rotate) * degree, shear = std::tan(about(s.shear) * degree), scale = 1 / (1 + about(s.zoom));
  const double dx = about(s.shift) * size, dy = about(s.shift) * size, px = about(s.perspective) / size, py = about(s.perspective) / size;
  const double half = 0.5 * size;
  const Matrix to_centre{1, 0, -half, 0, 1, -half, 0, 0, 1}, back{1, 0, half + dx, 0, 1, half + dy, 0, 0, 1};
  const Matrix turn{std::cos(angle), -std::sin(angle), 0, std::sin(angle), std::cos(angle), 0, 0, 0, 1};
  const Matrix lean{scale, scale * shear, 0, 0, scale, 0, px, py, 1};
  const Matrix map = product(back, product(turn, product(lean, to_centre)));
  const double brightness = 1 + about(s.brightness), contrast = 1 + about(s.contrast), saturation = 1 + about(s.saturation);
  WarpRow row{};
  for (size_t i = 0; i < 9; ++i) row[i] = float(map[i]);
  row[9] = float(brightness), row[10] = float(contrast);
  row[11] = contrast == 1 ? 0.0f : float(std::min(255.0, brightness * mean_gray(pixels, channels)));
  row[12] = float(saturation);
  const double erases = random.uniform(), area = 0.02 + 0.31 * double(random.uniform());
  const double aspect = std::exp(std::log(3.3) * (2.0 * double(random.uniform()) - 1.0));  // from 1 : 3.3 to 3.3 : 1
  const double height = std::min(1.0, std::sqrt(area * aspect)) * size, width = std::min(1.0, std::sqrt(area / aspect)) * size;
  const double top = double(random.uniform()) * (size - height), left = double(random.uniform()) * (size - width);
  if (erases < s.erase) row[13] = float(top), row[14] = float(left), row[15] = float(top + height), row[16] = float(left + width);
  return row;
}

}  // namespace vkfer
