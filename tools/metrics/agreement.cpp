#include "tools/metrics/agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vkfer {
namespace {

// Values that occur, and how often each pair of them was given to one unit: o[c][k], summing to n over units of m ratings, where
// each of the m (m - 1) ordered pairs weighs 1 / (m - 1).
struct Coincidences {
  std::vector<double> values;
  std::vector<double> pairs;    // [values][values]
  std::vector<double> totals;   // [values]
  double n = 0;

  double& at(size_t c, size_t k) { return pairs[c * values.size() + k]; }
  double at(size_t c, size_t k) const { return pairs[c * values.size() + k]; }
  void sum_up() {
    totals.assign(values.size(), 0);
    for (size_t c = 0; c < values.size(); ++c)
      for (size_t k = 0; k < values.size(); ++k) totals[c] += at(c, k);
    n = 0;
    for (const double t : totals) n += t;
  }
};

Coincidences coincidences(std::span<const std::vector<double>> ratings) {
  Coincidences c;
  for (const auto& row : ratings)
    for (const double v : row)
      if (!std::isnan(v)) c.values.push_back(v);
  std::ranges::sort(c.values);
  c.values.erase(std::unique(c.values.begin(), c.values.end()), c.values.end());
  c.pairs.assign(c.values.size() * c.values.size(), 0);
  size_t units = 0;
  for (const auto& row : ratings) units = std::max(units, row.size());
  for (size_t u = 0; u < units; ++u) {
    std::vector<size_t> given;
    for (const auto& row : ratings)
      if (u < row.size() && !std::isnan(row[u])) given.push_back(size_t(std::ranges::lower_bound(c.values, row[u]) - c.values.begin()));
    for (size_t i = 0; i < given.size(); ++i)
      for (size_t j = 0; j < given.size(); ++j)
        if (i != j) c.at(given[i], given[j]) += 1 / double(given.size() - 1);
  }
  c.sum_up();
  return c;
}

// The squared difference of values c < k.
double difference(const Coincidences& o, size_t c, size_t k, Level level) {
  const double a = o.values[c], b = o.values[k];
  double d = 1;
  switch (level) {
    case Level::nominal: return 1;
    case Level::interval: d = a - b; break;
    case Level::ratio: d = a + b == 0 ? 0 : (a - b) / (a + b); break;
    case Level::ordinal:
      d = -(o.totals[c] + o.totals[k]) / 2;
      for (size_t g = c; g <= k; ++g) d += o.totals[g];
      break;
  }
  return d * d;
}

double alpha_of(const Coincidences& o, Level level) {
  double observed = 0, expected = 0;
  for (size_t c = 0; c < o.values.size(); ++c)
    for (size_t k = c + 1; k < o.values.size(); ++k) {
      const double d = difference(o, c, k, level);
      observed += o.at(c, k) * d;
      expected += o.totals[c] * o.totals[k] * d;
    }
  return expected == 0 ? std::numeric_limits<double>::quiet_NaN() : 1 - (o.n - 1) * observed / expected;
}

}  // namespace

double krippendorff_alpha(std::span<const std::vector<double>> ratings, Level level) { return alpha_of(coincidences(ratings), level); }

double krippendorff_alpha(const Confusion& m) {
  Coincidences o;
  for (int c = 0; c < m.classes; ++c) o.values.push_back(c);
  o.pairs.assign(o.values.size() * o.values.size(), 0);
  for (size_t c = 0; c < o.values.size(); ++c)
    for (size_t k = 0; k < o.values.size(); ++k) o.at(c, k) = double(m.at(int(c), int(k)) + m.at(int(k), int(c)));
  o.sum_up();
  return alpha_of(o, Level::nominal);
}

}  // namespace vkfer
