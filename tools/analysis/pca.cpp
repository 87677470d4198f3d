#include "tools/analysis/pca.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "tools/analysis/symmetric_eigen.h"
#include "tools/data/philox.h"

namespace vkfer {
namespace {

constexpr size_t kChunkBytes = size_t(32) << 20;   // of rows that are bound at once
constexpr double kSettled = 1e-6;                  // a variance that moves by less, relative to itself, has settled
constexpr double kNoise = 1e-10;                   // of the largest variance: what f32 products leave of nothing
constexpr uint64_t kSeed = 1;

using Columns = std::vector<std::vector<double>>;  // of a tall matrix

// ---- on the device: y = x q and z = x' y, chunk by chunk of rows ------------------------------------------------------------

class Products {
 public:
  Products(Device& device, const Target& target, const Matrix& centred, int64_t block) : states_(device), block_(block), columns_(centred.columns) {
    Graph g;
    q_ = g.input("q", {{columns_, block}, DType::f32});
    const int64_t rows_each = std::max<int64_t>(1, int64_t(std::min(kChunkBytes, target.max_storage_range) / (size_t(columns_) * sizeof(float))));
    for (int64_t first = 0; first < centred.rows; first += rows_each) {
      const int64_t rows = std::min(rows_each, centred.rows - first);
      const std::string name = fmt::format("x.{}", first);
      const Value x = g.state(name, {{rows, columns_}, DType::f32});
      const Value y = g.add1(ops::linear, {}, {x, q_}, name + ".y");
      const Value z = g.add1(ops::linear_grad_weight, {}, {x, y}, name + ".z");
      g.output(y);
      y_.push_back(y);
      z_ = z_ ? g.add1(ops::add, {}, {z_, z}, name + ".sum") : z;
      states_.region(name, g.desc(x));
      states_.write(name, std::span(centred.values).subspan(size_t(first * columns_), size_t(rows * columns_)));
    }
    g.output(z_, "z");
    Plan plan = make_plan(g, target);
    executor_ = std::make_unique<Executor>(device, std::move(g), std::move(plan), states_);
  }

  void run(const Columns& q) {
    std::vector<float> values(size_t(columns_ * block_));
    for (size_t j = 0; j < q.size(); ++j)
      for (size_t i = 0; i < q[j].size(); ++i) values[i * q.size() + j] = float(q[j][i]);
    executor_->write(q_, values);
    executor_->run();
  }
  Columns y() {
    std::vector<float> all;
    for (const Value v : y_) {
      const std::vector<float> rows = executor_->read(v);
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return columns_of(all);
  }
  Columns z() { return columns_of(executor_->read(z_)); }

 private:
  Columns columns_of(const std::vector<float>& values) const {
    const size_t b = size_t(block_), n = values.size() / b;
    Columns c(b, std::vector<double>(n));
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < b; ++j) c[j][i] = values[i * b + j];
    return c;
  }

  States states_;
  const int64_t block_, columns_;
  Value q_, z_;
  std::vector<Value> y_;
  std::unique_ptr<Executor> executor_;
};

// ---- on the host ------------------------------------------------------------------------------------------------------------

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double s[4] = {};   // four sums at a time: the compiler may not reorder one
  size_t i = 0;
  for (; i + 4 <= a.size(); i += 4)
    for (size_t k = 0; k < 4; ++k) s[k] += a[i + k] * b[i + k];
  for (; i < a.size(); ++i) s[0] += a[i] * b[i];
  return (s[0] + s[1]) + (s[2] + s[3]);
}

void subtract(std::vector<double>& from, double factor, const std::vector<double>& v) {
  for (size_t i = 0; i < v.size(); ++i) from[i] -= factor * v[i];
}

std::vector<double> random_column(size_t rows, uint32_t number) {
  PhiloxSequence random(kSeed, PhiloxStream::analysis, number);
  std::vector<double> v(rows);
  for (double& x : v) x = 2.0 * random.uniform() - 1;
  return v;
}

// Gram and Schmidt, each column twice (Kahan: twice is enough). What depends on the columns before it is drawn anew.
void orthonormalise(Columns& q) {
  for (size_t j = 0; j < q.size(); ++j)
    for (uint32_t attempt = 0;; ++attempt) {
      const double before = std::sqrt(dot(q[j], q[j]));
      for (int twice = 0; twice < 2; ++twice)
        for (size_t k = 0; k < j; ++k) subtract(q[j], dot(q[k], q[j]), q[k]);
      const double length = std::sqrt(dot(q[j], q[j]));
      if (length > 1e-9 * before && length > 0) {
        for (double& x : q[j]) x /= length;
        break;
      }
      q[j] = random_column(q[j].size(), uint32_t(q.size()) * (attempt + 1) + uint32_t(j));
    }
}

SymmetricEigen eigen_of_gram(const Columns& y) {
  const size_t b = y.size();
  std::vector<double> gram(b * b);
  for (size_t i = 0; i < b; ++i)
    for (size_t j = i; j < b; ++j) gram[i * b + j] = dot(y[i], y[j]);
  return symmetric_eigen(std::move(gram), int(b));
}

// The columns turned: c times the first `count` vectors.
Columns turned(const Columns& c, const SymmetricEigen& eigen, size_t count) {
  Columns result(count, std::vector<double>(c[0].size()));
  for (size_t k = 0; k < count; ++k)
    for (size_t j = 0; j < c.size(); ++j) subtract(result[k], -eigen.vectors[k][j], c[j]);
  return result;
}

bool has_settled(std::span<const double> now, std::span<const double> before, size_t count) {
  if (before.empty()) return false;
  for (size_t k = 0; k < count; ++k)
    if (!(std::abs(now[k] - before[k]) <= kSettled * now[k] + kNoise * now[0])) return false;
  return true;
}

void check(const Matrix& x, const PcaOptions& options) {
  if (x.rows < 2 || x.columns < 1) fail("pca", "rows: got {}x{} numbers, expected at least 2 rows of 1. Fix: give it more pictures", x.rows, x.columns);
  if (options.components < 1) fail("pca", "components: got {}, expected at least 1", options.components);
  for (int64_t i = 0; i < x.rows; ++i)
    if (!std::ranges::all_of(x.row(i), [](float v) { return std::isfinite(v); })) fail("pca", "row {}: it has numbers that are not finite. Fix: look at what made it", i);
}

Matrix centred(const Matrix& x, std::vector<double>& mean) {
  const size_t d = size_t(x.columns);
  mean.assign(d, 0);
  for (int64_t i = 0; i < x.rows; ++i)
    for (size_t j = 0; j < d; ++j) mean[j] += x.row(i)[j];
  for (double& m : mean) m /= double(x.rows);
  Matrix c(x.rows, x.columns);
  for (int64_t i = 0; i < x.rows; ++i)
    for (size_t j = 0; j < d; ++j) c.row(i)[j] = float(double(x.row(i)[j]) - mean[j]);
  return c;
}

void make_sign_definite(std::vector<double>& component, std::vector<double>& scores) {
  const auto largest = std::ranges::max_element(component, {}, [](double v) { return std::abs(v); });
  if (*largest >= 0) return;
  for (auto* values : {&component, &scores})
    for (double& v : *values) v = -v;
}

}  // namespace

Pca pca(Device& device, const Target& target, const Matrix& x, const PcaOptions& options) {
  check(x, options);
  const int64_t most = std::min(x.columns, x.rows - 1);
  const int64_t k = std::min<int64_t>(options.components, most);
  // What is beyond the k-th settles the k-th: it converges by the ratio of the first variance left out to its own.
  const int64_t block = std::min(most, k + std::max<int64_t>(10, k / 2));
  Pca result;
  if (k < options.components)
    result.message = fmt::format("{} components instead of {}: there are no more in {} rows of {} numbers", k, options.components, x.rows, x.columns);

  const Matrix rows = centred(x, result.mean);
  double total = 0;
  for (const float v : rows.values) total += double(v) * v;
  Products products(device, target, rows, block);
  Columns q;
  for (int64_t j = 0; j < block; ++j) q.push_back(random_column(size_t(x.columns), uint32_t(j)));
  orthonormalise(q);
  products.run(q);
  std::vector<double> before;
  Columns y;
  SymmetricEigen eigen;
  for (result.turns = 1;; ++result.turns) {
    q = products.z();
    orthonormalise(q);
    products.run(q);
    y = products.y();
    eigen = eigen_of_gram(y);
    result.settled = has_settled(eigen.values, before, size_t(k));
    if (result.settled || result.turns >= options.most_turns) break;
    before = eigen.values;
  }

  Columns components = turned(q, eigen, size_t(k)), scores = turned(y, eigen, size_t(k));
  result.components = Matrix(k, x.columns);
  result.scores = Matrix(x.rows, k);
  for (int64_t c = 0; c < k; ++c) {
    std::vector<double>&component = components[size_t(c)], &score = scores[size_t(c)];
    make_sign_definite(component, score);
    std::ranges::transform(component, result.components.row(c).begin(), [](double v) { return float(v); });
    for (int64_t i = 0; i < x.rows; ++i) result.scores.row(i)[size_t(c)] = float(score[size_t(i)]);
    const double variance = std::max(0.0, eigen.values[size_t(c)]);
    result.variances.push_back(variance / double(x.rows - 1));
    result.shares.push_back(total > 0 ? variance / total : 0);
  }
  return result;
}

}  // namespace vkfer
