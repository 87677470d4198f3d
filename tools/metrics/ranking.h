#pragma once
// What the order of scores says, whatever threshold one would choose. Definitions as in scikit-learn.
#include <cstdint>
#include <span>
#include <vector>

namespace vkfer {

// One class against the rest: samples by falling score. Kept, because a bootstrap asks again and again.
class Ranking {
 public:
  // scores[i], and whether sample i is of the class.
  Ranking(std::span<const float> scores, const std::vector<bool>& positive);

  // As if sample i were there times[i] times. NaN: undefined, for the samples are all of the class, or none is.
  double auc_roc(std::span<const int32_t> times) const;   // ties count half (Hanley, McNeil, 1982)
  // sum over thresholds of (recall - recall before) * precision: average_precision_score. NaN without a sample of the class.
  double auc_pr(std::span<const int32_t> times) const;

  struct Point {
    double threshold;                      // scores from here on are called positive
    double false_positive_rate, recall, precision;
  };
  // One a distinct score, falling. Empty where auc_roc is undefined.
  std::vector<Point> curve() const;

 private:
  // f(true positives, false positives, last sample) after each distinct score.
  template <class F>
  void each_threshold(std::span<const int32_t> times, F&& f) const;
  std::vector<uint32_t> order_;
  std::vector<float> scores_;              // in that order
  std::vector<bool> positive_;             // there, too
};

}  // namespace vkfer
