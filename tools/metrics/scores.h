#pragma once
// All figures of a network's predictions, each with the interval that a bootstrap over the samples gives it
// (Efron, Tibshirani, An Introduction to the Bootstrap, 1993: percentiles).
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tools/metrics/ranking.h"

namespace vkfer {

// Predictions of n samples beside what is known of them. Empty where the network has no such output.
struct Predictions {
  int classes = 0;
  std::vector<int32_t> labels;          // [n]; -1: no class
  std::vector<float> probabilities;     // [n,classes]
  struct Affect {
    std::vector<float> truth, predicted;  // [n]; truth NaN: unknown
  };
  Affect valence, arousal;

  size_t count() const { return std::max({labels.size(), valence.truth.size(), arousal.truth.size()}); }
};

// The mean of what several networks, or views of the pictures, say of the same samples.
Predictions mean_of(std::span<const Predictions>);

// A figure: "accuracy", "f1" of a class, "rmse" of valence.
struct ScoreName {
  std::string figure;
  std::string of;                       // "": of all; the number of a class; valence or arousal
  friend bool operator==(const ScoreName&, const ScoreName&) = default;
};

struct Score {
  ScoreName name;
  double value = 0;                     // NaN: undefined
  double low = 0, high = 0;             // the interval; NaN: without one
};

class Scorer {
 public:
  // Sorts once what every resample needs.
  explicit Scorer(const Predictions&);

  std::span<const ScoreName> names() const { return names_; }
  // By names(), as if sample i were there times[i] times. NaN: undefined.
  std::vector<double> values(std::span<const int32_t> times) const;

  // `resamples` 0: without intervals. The same seed gives the same intervals. Fewer resamples are drawn where n * classes is so
  // large that they would take minutes, but never fewer than 100.
  std::vector<Score> scores(int resamples, uint64_t seed, double confidence = 0.95) const;

 private:
  void append_class_values(std::span<const int32_t> times, std::vector<double>& out) const;
  Predictions p_;
  std::vector<int32_t> predicted_;      // the class of the largest probability, the first of equal ones
  std::vector<int32_t> rank_;           // of the true class, from 1, behind all of equal probability and lower number
  std::vector<Ranking> rankings_;       // by class, over the samples that have one
  std::vector<uint32_t> labelled_;      // those samples
  std::vector<int> top_;                // k of top-k accuracies
  std::vector<ScoreName> names_;
};

}  // namespace vkfer
