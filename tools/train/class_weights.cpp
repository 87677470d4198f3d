#include "tools/train/class_weights.h"

#include <charconv>
#include <numeric>

#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr std::string_view kBalanced = "balanced";

}  // namespace

std::vector<float> parse_class_weights(std::string_view text) {
  std::vector<float> weights;
  if (text.empty() || text == kBalanced) return weights;
  const char *at = text.data(), *end = at + text.size();
  while (true) {
    float w = 0;
    const auto [next, error] = std::from_chars(at, end, w);
    if (error != std::errc{} || !(w >= 0 && w <= 1e6f) || (next != end && *next != ','))
      fail("--class-weights", "got '{}', expected balanced or numbers from 0 to 1e6: 1,2.5,1", text.substr(0, 100));
    weights.push_back(w);
    if (next == end) break;
    at = next + 1;
  }
  if (std::accumulate(weights.begin(), weights.end(), 0.0) == 0) fail("--class-weights", "all are 0: nothing would be learned. Fix: give a class a weight");
  return weights;
}

std::vector<double> class_shares(const Dataset& dataset, std::string_view split) {
  std::vector<double> shares(dataset.classes().size());
  for (const size_t i : dataset.split(split)) {
    const Sample& s = dataset.sample(i);
    if (s.distribution.empty() && s.label >= 0) shares[size_t(s.label)] += 1;
    for (size_t c = 0; c < s.distribution.size(); ++c) shares[c] += double(s.distribution[c]);
  }
  return shares;
}

std::vector<float> class_weights(std::string_view setting, std::span<const double> shares) {
  if (setting.empty()) return std::vector<float>(shares.size(), 1.0f);
  std::vector<float> weights = parse_class_weights(setting);
  if (setting == kBalanced) {
    const double n = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (const double share : shares) weights.push_back(share > 0 ? float(n / (double(shares.size()) * share)) : 0);
  }
  if (weights.size() != shares.size()) fail("--class-weights", "got {} weights for {} classes. Fix: one for each, in the order of the labels", weights.size(), shares.size());
  return weights;
}

}  // namespace vkfer
