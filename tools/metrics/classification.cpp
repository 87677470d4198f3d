#include "tools/metrics/classification.h"

#include <numeric>

namespace vkfer {
namespace {

double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

struct Margins {
  std::vector<int64_t> truth, predicted;
};

Margins margins(const Confusion& m) {
  Margins s{std::vector<int64_t>(size_t(m.classes)), std::vector<int64_t>(size_t(m.classes))};
  for (int t = 0; t < m.classes; ++t)
    for (int p = 0; p < m.classes; ++p) {
      s.truth[size_t(t)] += m.at(t, p);
      s.predicted[size_t(p)] += m.at(t, p);
    }
  return s;
}

}  // namespace

int64_t Confusion::total() const { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }

ClassificationMetrics classification_metrics(const Confusion& m) {
  ClassificationMetrics r;
  r.count = m.total();
  r.per_class.resize(size_t(m.classes));
  if (r.count == 0) return r;
  const Margins s = margins(m);
  const double n = double(r.count);
  double right = 0, chance = 0;
  for (int c = 0; c < m.classes; ++c) {
    ClassMetrics& k = r.per_class[size_t(c)];
    const double hit = double(m.at(c, c)), truth = double(s.truth[size_t(c)]), predicted = double(s.predicted[size_t(c)]);
    k.support = s.truth[size_t(c)];
    k.precision = ratio(hit, predicted);
    k.recall = ratio(hit, truth);
    k.f1 = ratio(2 * hit, truth + predicted);
    right += hit;
    chance += truth * predicted / (n * n);
    r.macro_precision += k.precision / m.classes;
    r.macro_recall += k.recall / m.classes;
    r.macro_f1 += k.f1 / m.classes;
    r.weighted_f1 += k.f1 * truth / n;
  }
  r.accuracy = right / n;
  r.kappa = ratio(r.accuracy - chance, 1 - chance);
  return r;
}

}  // namespace vkfer
