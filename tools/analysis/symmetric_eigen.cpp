#include "tools/analysis/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vkfer {
namespace {

constexpr int kMostSweeps = 40;        // it converges quadratically: about 8 are used
constexpr double kNegligible = 1e-15;  // of an element off the diagonal, beside the two on it

// A turn in the plane of two rows (or columns).
struct Rotation {
  double c, s;
  void apply(double& x, double& y) const {
    const double a = x, b = y;
    x = c * a - s * b, y = s * a + c * b;
  }
};

Rotation rotation(double app, double apq, double aqq) {
  const double theta = (aqq - app) / (2 * apq);
  const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(theta * theta + 1)), c = 1 / std::sqrt(t * t + 1);
  return {c, t * c};
}

}  // namespace

SymmetricEigen symmetric_eigen(std::vector<double> a, int size) {
  const size_t n = size_t(size);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < i; ++j) a[i * n + j] = a[j * n + i];
  std::vector<std::vector<double>> v(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) v[i][i] = 1;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    bool turned = false;
    for (size_t p = 0; p + 1 < n; ++p)
      for (size_t q = p + 1; q < n; ++q) {
        const double apq = a[p * n + q];
        if (apq == 0 || std::abs(apq) <= kNegligible * std::sqrt(std::abs(a[p * n + p] * a[q * n + q]))) continue;
        turned = true;
        const Rotation r = rotation(a[p * n + p], apq, a[q * n + q]);
        for (size_t k = 0; k < n; ++k) r.apply(a[p * n + k], a[q * n + k]);
        for (size_t k = 0; k < n; ++k) r.apply(a[k * n + p], a[k * n + q]);
        a[p * n + q] = a[q * n + p] = 0;
        for (size_t k = 0; k < n; ++k) r.apply(v[p][k], v[q][k]);
      }
    if (!turned) break;
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return a[i * n + i] > a[j * n + j]; });
  SymmetricEigen result;
  for (const size_t i : order) {
    result.values.push_back(a[i * n + i]);
    result.vectors.push_back(std::move(v[i]));
  }
  return result;
}

}  // namespace vkfer
