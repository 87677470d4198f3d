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

std::vector<float> class_weights(std::string_view setting, std::span<const size_t> counts) {
  if (setting.empty()) return std::vector<float>(counts.size(), 1.0f);
  std::vector<float> weights = parse_class_weights(setting);
  if (setting == kBalanced) {
    const double n = double(std::accumulate(counts.begin(), counts.end(), size_t{0}));
    for (const size_t count : counts) weights.push_back(count ? float(n / (double(counts.size()) * double(count))) : 0);
  }
  if (weights.size() != counts.size()) fail("--class-weights", "got {} weights for {} classes. Fix: one for each, in the order of the labels", weights.size(), counts.size());
  return weights;
}

}  // namespace vkfer
