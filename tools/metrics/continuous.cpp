#include "tools/metrics/continuous.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vkfer {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double ratio(double a, double b) { return b > 0 ? a / b : kUndefined; }
int sign(double x) { return (x > 0) - (x < 0); }

}  // namespace

ContinuousMetrics::ContinuousMetrics()
    : rmse(kUndefined), mae(kUndefined), r2(kUndefined), pearson(kUndefined), sagr(kUndefined), ccc(kUndefined) {}

ContinuousMetrics continuous_metrics(std::span<const double> p, std::span<const double> t) {
  ContinuousMetrics m;
  m.count = p.size();
  if (p.empty()) return m;
  const double n = double(p.size());
  double p_mean = 0, t_mean = 0, squares = 0, absolute = 0, agree = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    p_mean += p[i] / n, t_mean += t[i] / n;
    squares += (p[i] - t[i]) * (p[i] - t[i]), absolute += std::abs(p[i] - t[i]);
    agree += sign(p[i]) == sign(t[i]);
  }
  double p_var = 0, t_var = 0, both = 0;  // sums of squares about the means
  for (size_t i = 0; i < p.size(); ++i) {
    p_var += (p[i] - p_mean) * (p[i] - p_mean), t_var += (t[i] - t_mean) * (t[i] - t_mean);
    both += (p[i] - p_mean) * (t[i] - t_mean);
  }
  // Of numbers that are all one the mean is rounded, and a little would be left over.
  const auto all_one = [](const auto& v) { return std::ranges::all_of(v, [&](double x) { return x == v[0]; }); };
  if (all_one(p)) p_var = both = 0;
  if (all_one(t)) t_var = both = 0;
  m.rmse = std::sqrt(squares / n), m.mae = absolute / n, m.sagr = agree / n;
  m.r2 = t_var > 0 ? 1 - squares / t_var : kUndefined;
  m.pearson = ratio(both, std::sqrt(p_var) * std::sqrt(t_var));
  m.ccc = ratio(2 * both, p_var + t_var + n * (p_mean - t_mean) * (p_mean - t_mean));
  return m;
}

}  // namespace vkfer
