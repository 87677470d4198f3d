#include "tools/train/mix.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tools/data/philox.h"

namespace vkfer {
namespace {

// In (0, 1].
double positive(PhiloxSequence& random) { return (double(random.next()) + 1) * 0x1p-32; }

double normal(PhiloxSequence& random) {
  const double u = positive(random), v = positive(random);
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

// Marsaglia and Tsang, A Simple Method for Generating Gamma Variables, 2000.
double gamma(PhiloxSequence& random, double shape) {
  if (shape < 1) {
    const double boost = std::pow(positive(random), 1 / shape);
    return gamma(random, shape + 1) * boost;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(random), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(positive(random)) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double beta(PhiloxSequence& random, double alpha) {
  const double a = gamma(random, alpha), b = gamma(random, alpha);
  return a + b > 0 ? a / (a + b) : positive(random) < 0.5 ? 0 : 1;   // both underflow where alpha is tiny: then it is all or nothing
}

}  // namespace

BatchMix batch_mix(const MixSettings& s, uint64_t seed, int64_t step, int size) {
  PhiloxSequence random(seed, PhiloxStream::mix, uint32_t(step), uint32_t(uint64_t(step) >> 32));
  BatchMix m;
  m.cut = s.cutmix > 0 && (s.mixup <= 0 || random.below(2) == 1);
  m.share = beta(random, m.cut ? s.cutmix : s.mixup);
  if (!m.cut) return m;
  // As torchvision's CutMix: a square-rooted share of each side about any pixel, cut off at the border; then the share that it really is.
  const int row = int(random.below(uint32_t(size))), column = int(random.below(uint32_t(size)));
  const int half = int(0.5 * std::sqrt(1 - m.share) * size);
  m.top = std::max(row - half, 0), m.bottom = std::min(row + half, size);
  m.left = std::max(column - half, 0), m.right = std::min(column + half, size);
  m.share = 1 - double(m.bottom - m.top) * (m.right - m.left) / (double(size) * size);
  return m;
}

std::vector<float> pixel_shares(const BatchMix& m, int batch, int size) {
  std::vector<float> one(size_t(size) * size_t(size), m.cut ? 1.0f : float(m.share)), all;
  if (m.cut)
    for (int y = m.top; y < m.bottom; ++y) std::fill(one.begin() + y * size + m.left, one.begin() + y * size + m.right, 0.0f);
  for (int i = 0; i < batch; ++i) all.insert(all.end(), one.begin(), one.end());
  return all;
}

SoftTargets soft_targets(std::span<const double> rows, std::span<const float> class_weights, double smoothing) {
  const size_t k = class_weights.size();
  SoftTargets out;
  double weights = 0;
  for (size_t row = 0; row < rows.size(); row += k) {
    double sum = 0;
    for (size_t c = 0; c < k; ++c) sum += rows[row + c], weights += rows[row + c] * double(class_weights[c]);
    for (size_t c = 0; c < k; ++c) out.targets.push_back(float(double(class_weights[c]) * ((1 - smoothing) * rows[row + c] + smoothing / double(k) * sum)));
  }
  if (weights > 0) out.scale = float(1 / weights);
  return out;
}

std::vector<double> mixed_rows(std::span<const double> rows, size_t classes, double share) {
  std::vector<double> out(rows.size());
  const size_t n = rows.size() / classes;
  for (size_t i = 0; i < n; ++i)
    for (size_t c = 0; c < classes; ++c) out[i * classes + c] = share * rows[i * classes + c] + (1 - share) * rows[(n - 1 - i) * classes + c];
  return out;
}

std::vector<float> mixed_values(std::span<const float> values, double share) {
  std::vector<float> out;
  for (size_t i = 0; i < values.size(); ++i) out.push_back(float(share * double(values[i]) + (1 - share) * double(values[values.size() - 1 - i])));
  return out;
}

}  // namespace vkfer
