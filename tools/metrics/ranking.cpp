#include "tools/metrics/ranking.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace vkfer {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Ranking::Ranking(std::span<const float> scores, const std::vector<bool>& positive) : order_(scores.size()) {
  std::iota(order_.begin(), order_.end(), 0u);
  std::ranges::stable_sort(order_, [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  for (const uint32_t i : order_) scores_.push_back(scores[i]), positive_.push_back(positive[i]);
}

template <class F>
void Ranking::each_threshold(std::span<const int32_t> times, F&& f) const {
  int64_t hits = 0, alarms = 0;
  for (size_t i = 0; i < order_.size(); ++i) {
    (positive_[i] ? hits : alarms) += times[order_[i]];
    if (i + 1 == order_.size() || scores_[i + 1] != scores_[i]) f(hits, alarms, i);
  }
}

double Ranking::auc_roc(std::span<const int32_t> times) const {
  int64_t hits = 0, alarms = 0;
  double area = 0;  // twice it, in counts: exact
  each_threshold(times, [&](int64_t h, int64_t a, size_t) {
    area += double(a - alarms) * double(h + hits);
    hits = h, alarms = a;
  });
  return hits && alarms ? area / 2 / double(hits) / double(alarms) : kUndefined;
}

double Ranking::auc_pr(std::span<const int32_t> times) const {
  int64_t hits = 0;
  double sum = 0;
  each_threshold(times, [&](int64_t h, int64_t a, size_t) {
    if (h > hits) sum += double(h - hits) * double(h) / double(h + a);
    hits = h;
  });
  return hits ? sum / double(hits) : kUndefined;
}

std::vector<Ranking::Point> Ranking::curve() const {
  const std::vector<int32_t> once(order_.size(), 1);
  const int64_t of_class = std::ranges::count(positive_, true), rest = int64_t(positive_.size()) - of_class;
  std::vector<Point> points;
  if (of_class == 0 || rest == 0) return points;
  each_threshold(once, [&](int64_t h, int64_t a, size_t i) {
    points.push_back({scores_[i], double(a) / double(rest), double(h) / double(of_class), double(h) / double(h + a)});
  });
  return points;
}

}  // namespace vkfer
