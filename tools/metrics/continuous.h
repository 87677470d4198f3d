#pragma once
// How well predictions of a number in -1..1 follow the truth: valence and arousal.
#include <cstddef>
#include <span>

namespace vkfer {

// NaN where a figure is undefined: without a sample, and for r2, pearson and ccc where their denominators are zero.
struct ContinuousMetrics {
  size_t count = 0;
  double rmse, mae;
  double r2;       // 1 - sum (t-p)^2 / sum (t-mean t)^2, as scikit-learn's r2_score
  double pearson;
  double sagr;     // share of equal signs, 0 counting as a sign of its own (Nicolaou et al., 2011)
  double ccc;      // concordance (Lin, 1989), with variances over n
  ContinuousMetrics();
};

ContinuousMetrics continuous_metrics(std::span<const double> predictions, std::span<const double> truths);

}  // namespace vkfer
