#pragma once
// What a confusion matrix says. Definitions as in scikit-learn with labels = all classes and zero_division = 0.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vkfer {

// Counts by [true class][predicted class], row-major.
struct Confusion {
  int classes = 0;
  std::vector<int64_t> counts;

  Confusion() = default;
  explicit Confusion(int k) : classes(k), counts(std::size_t(k) * k, 0) {}
  int64_t& at(int truth, int predicted) { return counts[std::size_t(truth) * classes + predicted]; }
  int64_t at(int truth, int predicted) const { return counts[std::size_t(truth) * classes + predicted]; }
  int64_t total() const;
  friend bool operator==(const Confusion&, const Confusion&) = default;
};

struct ClassMetrics {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;  // samples of this class
};

struct ClassificationMetrics {
  int64_t count = 0;
  double accuracy = 0;
  double macro_f1 = 0, macro_precision = 0, macro_recall = 0;  // unweighted means over all classes
  double weighted_f1 = 0;                                      // weighted by support
  double kappa = 0;                                            // Cohen, 1960; 0 where agreement by chance is certain
  std::vector<ClassMetrics> per_class;
};

// An empty matrix gives zeros.
ClassificationMetrics classification_metrics(const Confusion&);

}  // namespace vkfer
