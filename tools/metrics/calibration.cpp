#include "tools/metrics/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace vkfer {
namespace {

constexpr double kLeast = 1e-30;  // probabilities of 0 have a logarithm, too

// log p / t - log sum exp(log p / t), in place of p.
void log_tempered(std::span<const float> row, double temperature, std::vector<double>& out) {
  out.resize(row.size());
  for (size_t i = 0; i < row.size(); ++i) out[i] = std::log(std::max(double(row[i]), kLeast)) / temperature;
  const double most = *std::ranges::max_element(out);
  double sum = 0;
  for (const double v : out) sum += std::exp(v - most);
  for (double& v : out) v -= most + std::log(sum);
}

double mean_loss(std::span<const float> probabilities, std::span<const int32_t> labels, size_t k, double temperature) {
  std::vector<double> row;
  double sum = 0;
  int64_t known = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    ++known;
    log_tempered(probabilities.subspan(i * k, k), temperature, row);
    sum -= row[size_t(labels[i])];
  }
  return sum / double(known);
}

}  // namespace

std::vector<ReliabilityBin> reliability(std::span<const float> probabilities, std::span<const int32_t> labels, int classes, std::span<const int32_t> times, int bins) {
  std::vector<ReliabilityBin> all(static_cast<size_t>(bins));
  for (int b = 0; b < bins; ++b) all[size_t(b)].low = double(b) / bins, all[size_t(b)].high = double(b + 1) / bins;
  const size_t k = size_t(classes);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    const auto row = probabilities.subspan(i * k, k);
    const auto most = std::ranges::max_element(row);
    const int64_t n = times.empty() ? 1 : times[i];
    ReliabilityBin& bin = all[size_t(std::clamp(int(std::ceil(double(*most) * bins)) - 1, 0, bins - 1))];
    bin.count += n;
    bin.confidence += double(n) * double(*most);
    bin.accuracy += double(n) * (most - row.begin() == labels[i]);
  }
  for (ReliabilityBin& bin : all)
    if (bin.count) bin.confidence /= double(bin.count), bin.accuracy /= double(bin.count);
  return all;
}

double expected_calibration_error(std::span<const ReliabilityBin> bins) {
  double sum = 0, n = 0;
  for (const ReliabilityBin& bin : bins) sum += double(bin.count) * std::abs(bin.accuracy - bin.confidence), n += double(bin.count);
  return n == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / n;
}

std::vector<float> tempered(std::span<const float> probabilities, int classes, double temperature) {
  const size_t k = size_t(classes);
  std::vector<float> out;
  out.reserve(probabilities.size());
  std::vector<double> row;
  for (size_t first = 0; first < probabilities.size(); first += k) {
    log_tempered(probabilities.subspan(first, k), temperature, row);
    for (const double v : row) out.push_back(float(std::exp(v)));
  }
  return out;
}

// The loss is convex in 1 / temperature: a golden section over it finds the least.
double fitted_temperature(std::span<const float> probabilities, std::span<const int32_t> labels, int classes) {
  if (std::ranges::all_of(labels, [](int32_t label) { return label < 0; })) return 1;
  const auto loss = [&](double inverse) { return mean_loss(probabilities, labels, size_t(classes), 1 / inverse); };
  constexpr double kGolden = 1 / std::numbers::phi;
  double low = 1 / 20.0, high = 20;
  double a = high - kGolden * (high - low), b = low + kGolden * (high - low), at_a = loss(a), at_b = loss(b);
  while (high - low > 1e-6 * low) {
    if (at_a < at_b) {
      high = b, b = a, at_b = at_a;
      a = high - kGolden * (high - low), at_a = loss(a);
    } else {
      low = a, a = b, at_a = at_b;
      b = low + kGolden * (high - low), at_b = loss(b);
    }
  }
  return 2 / (low + high);
}

}  // namespace vkfer
