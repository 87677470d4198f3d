#include "graph/pacing.h"

#include <algorithm>
#include <numeric>

namespace vkfer {
namespace {

constexpr double kTooLong = 2 * Pacing::kMilliseconds, kTooShort = Pacing::kMilliseconds / 3;
constexpr int kShortRuns = 4;       // only then are submissions joined: a run may be slow by chance, never fast by chance
constexpr int kLongestPause = 1 << 20;
constexpr double kLargestStep = 16; // one odd measurement does not decide everything

}  // namespace

Pacing::Pacing(std::vector<double> guessed_milliseconds) : guessed_(std::move(guessed_milliseconds)) { cuts_ = cut(scale_); }

std::vector<size_t> Pacing::cut(double scale) const {
  std::vector<size_t> cuts;
  double pending = 0;
  for (size_t n = 0; n < guessed_.size(); ++n) {
    const double cost = guessed_[n] * scale;
    if (pending > 0 && pending + cost > kMilliseconds) cuts.push_back(n), pending = 0;
    pending += cost;
  }
  return cuts;
}

// Of one submission out of `count`; the mean when that is not how many there are.
double Pacing::guess(size_t count, size_t submission) const {
  if (count != cuts_.size() + 1) return std::accumulate(guessed_.begin(), guessed_.end(), 1e-9) / double(cuts_.size() + 1);
  const size_t first = submission ? cuts_[submission - 1] : 0, last = submission < cuts_.size() ? cuts_[submission] : guessed_.size();
  return std::accumulate(guessed_.begin() + ptrdiff_t(first), guessed_.begin() + ptrdiff_t(last), 1e-9);
}

bool Pacing::observe(std::span<const double> milliseconds) {
  if (milliseconds.empty() || guessed_.empty()) return false;
  if (wait_ > 0) return --wait_, false;
  const auto slowest = std::max_element(milliseconds.begin(), milliseconds.end());
  const double longest = *slowest;
  const bool too_short = longest < kTooShort && !cuts_.empty();
  short_runs_ = too_short ? short_runs_ + 1 : 0;
  if (longest <= kTooLong && short_runs_ < kShortRuns) return false;
  const double measured = longest / guess(milliseconds.size(), size_t(slowest - milliseconds.begin()));
  scale_ = std::clamp(measured, scale_ / kLargestStep, scale_ * kLargestStep);
  std::vector<size_t> cuts = cut(scale_);
  wait_ = pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
  short_runs_ = 0;
  if (cuts == cuts_) return false;  // single nodes that take so long, or too little work to tell
  cuts_ = std::move(cuts);
  return true;
}

}  // namespace vkfer
