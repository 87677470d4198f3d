// Points: PCA and t-SNE against scikit-learn's.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "graph/ops/ops.h"
#include "graph/reference.h"
#include "tests/catch.h"
#include "tests/fixture.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tools/analysis/pca.h"
#include "tools/analysis/symmetric_eigen.h"
#include "tools/analysis/tsne.h"

using namespace vkfer;
using namespace vkfer::test;
using nlohmann::json;

namespace {

// As record_pca.py makes them.
Matrix points(const std::string& name, int64_t rows, int64_t columns, double fall) {
  const std::vector<float> factors = fixture::tensor(name + ".factors", rows * 12), directions = fixture::tensor(name + ".directions", 12 * columns),
                           noise = fixture::tensor(name + ".noise", rows * columns);
  Matrix m(rows, columns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double x = 0.1 * noise[size_t(i * columns + j)] + 3;
      for (int64_t k = 0; k < 12; ++k) x += std::pow(fall, double(k)) * factors[size_t(i * 12 + k)] * directions[size_t(k * columns + j)];
      m.row(i)[size_t(j)] = float(x);
    }
  return m;
}

Target own_target() { return target_for(test_device().info()); }

Pca pca_of(const Matrix& x, int components) { return pca(test_device(), own_target(), x, {.components = components}); }

double product(std::span<const float> a, std::span<const float> b) {
  double s = 0;
  for (size_t i = 0; i < a.size(); ++i) s += double(a[i]) * b[i];
  return s;
}

// As record_tsne.py makes them.
struct Clusters {
  Matrix x;
  std::vector<int64_t> labels;
};

Clusters clusters(int64_t rows, int64_t columns, int64_t count) {
  const std::vector<float> centres = fixture::tensor("tsne.centres", count * columns, 2.0), spread = fixture::tensor("tsne.spread", rows * columns);
  Clusters c{Matrix(rows, columns), fixture::labels("tsne.labels", rows, count)};
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      c.x.row(i)[size_t(j)] = float(double(centres[size_t(c.labels[size_t(i)] * columns + j)]) + spread[size_t(i * columns + j)]);
  return c;
}

// P of the rows, in double, [N,N].
HostTensor affinities_of(const Matrix& x, double perplexity) {
  const int64_t columns = (x.rows + 3) / 4 * 4;
  HostTensor points({x.columns, columns});
  for (int64_t i = 0; i < x.rows; ++i)
    for (int64_t k = 0; k < x.columns; ++k) points[size_t(k * columns + i)] = x.row(i)[size_t(k)];
  Graph g;
  const Value in = g.input("x", {points.shape, DType::f32});
  const Value p = g.add1(ops::affinities, {{"points", x.rows}, {"perplexity", perplexity}}, {in}, "p");
  return run_reference(g, {{in.id, points}}).at(p.id);
}

// Kullback and Leibler's divergence by its definition.
double divergence_of(const HostTensor& p, const Matrix& y) {
  const double v = std::max(1.0, double(y.columns) - 1);
  const size_t n = size_t(y.rows), columns = size_t(p.shape.last());
  std::vector<double> q(n * n);
  double total = 0, divergence = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      double squared = 0;
      for (size_t k = 0; k < size_t(y.columns); ++k) squared += std::pow(double(y.row(int64_t(i))[k]) - y.row(int64_t(j))[k], 2);
      total += q[i * n + j] = std::pow(1 + squared / v, -(v + 1) / 2);
    }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      if (const double pij = p[i * columns + j]; pij > 0) divergence += pij * std::log(pij / (q[i * n + j] / total));
  return divergence;
}

Tsne tsne_of(const Matrix& x, const TsneOptions& options) { return tsne(test_device(), own_target(), x, options); }

}  // namespace

TEST_CASE("eigenvectors of small symmetric matrices", "[analysis][pca]") {
  const int n = 9;
  std::vector<double> m(n * n);
  for (int i = 0; i < n; ++i)
    for (int j = i; j < n; ++j) m[size_t(i * n + j)] = m[size_t(j * n + i)] = double(fixture::bell(17, uint64_t(i * n + j)));
  const SymmetricEigen e = symmetric_eigen(m, n);
  REQUIRE(e.values.size() == n);
  for (int k = 0; k < n; ++k) {
    if (k) CHECK(e.values[size_t(k)] <= e.values[size_t(k - 1)]);
    for (int i = 0; i < n; ++i) {
      double left = 0;
      for (int j = 0; j < n; ++j) left += m[size_t(i * n + j)] * e.vectors[size_t(k)][size_t(j)];
      CHECK(left == Approx(e.values[size_t(k)] * e.vectors[size_t(k)][size_t(i)]).margin(1e-12));
    }
    for (int l = 0; l <= k; ++l) {
      double s = 0;
      for (int i = 0; i < n; ++i) s += e.vectors[size_t(k)][size_t(i)] * e.vectors[size_t(l)][size_t(i)];
      CHECK(s == Approx(k == l).margin(1e-12));
    }
  }
  // A graded matrix, D H D with D = 1, 1e-5, 1e-10: its smallest eigenvalue to all digits, not to those of the largest.
  const SymmetricEigen graded = symmetric_eigen({1, 0.5e-5, 0.5e-10, 0, 1e-10, 0.5e-15, 0, 0, 1e-20}, 3);
  CHECK(graded.values[2] == Approx(1e-20 * 2 / 3).epsilon(1e-8));   // det H of the three by that of the first two
  CHECK(symmetric_eigen({-3}, 1).values[0] == -3);
  CHECK(symmetric_eigen({0, 0, 0, 0}, 2).values == std::vector<double>{0, 0});
}

TEST_CASE("PCA equals scikit-learn's", "[analysis][pca][device]") {
  const std::string name = GENERATE("tall", "wide", "square");
  const bool chunked = GENERATE(false, true);
  INFO(name << " chunked=" << chunked);
  const json recorded = fixture::load("pca.json").at(name);
  const Matrix x = points(name, recorded.at("rows"), recorded.at("columns"), recorded.at("fall"));
  const int components = recorded.at("components"), apart = recorded.at("apart");
  Target target = own_target();
  if (chunked) target.max_storage_range = 1 << 16;   // a few rows at a time
  const Pca p = pca(test_device(), target, x, {.components = components});
  INFO("turns " << p.turns);
  CHECK(p.settled);
  CHECK(p.message.empty());
  const auto variances = recorded.at("variances").get<std::vector<double>>(), shares = recorded.at("shares").get<std::vector<double>>();
  REQUIRE(p.variances.size() == variances.size());
  for (size_t k = 0; k < variances.size(); ++k) {
    INFO(k);
    CHECK(p.variances[k] == Approx(variances[k]).epsilon(1e-4));
    CHECK(p.shares[k] == Approx(shares[k]).epsilon(1e-4));
  }
  for (int k = 0; k < apart; ++k) {
    std::vector<float> scores;
    for (int64_t i = 0; i < x.rows; ++i) scores.push_back(p.scores.row(i)[size_t(k)]);
    const std::string number = std::to_string(k);
    const auto component = fixture::measure(recorded.at("component." + number), "component." + number, std::span<const float>(p.components.row(k)));
    const auto score = fixture::measure(recorded.at("score." + number), "score." + number, std::span<const float>(scores));
    INFO(component.text << "\n" << score.text);
    CHECK(component.error < 1e-3);
    CHECK(score.error < 1e-3);
  }
  for (int i = 0; i < components; ++i) {
    for (int j = 0; j <= i; ++j) CHECK(product(p.components.row(i), p.components.row(j)) == Approx(i == j).margin(2e-5));
    const auto row = p.components.row(i);
    CHECK(*std::ranges::max_element(row, {}, [](float v) { return std::abs(v); }) > 0);
  }
  CHECK(new_validation_messages() == "");
}

TEST_CASE("PCA repeats bit for bit", "[analysis][pca][device]") {
  const Matrix x = points("wide", 60, 400, 0.75);
  const Pca a = pca_of(x, 20), b = pca_of(x, 20);
  CHECK(a.scores.values == b.scores.values);
  CHECK(a.components.values == b.components.values);
  CHECK(a.variances == b.variances);
}

TEST_CASE("PCA of few, equal and dependent rows", "[analysis][pca][device]") {
  Matrix two(2, 3);
  two.values = {1, 2, 3, 3, 2, 3};
  const Pca p = pca_of(two, 50);
  CHECK(p.message == "1 components instead of 50: there are no more in 2 rows of 3 numbers");
  REQUIRE(p.variances.size() == 1);
  CHECK(p.variances[0] == Approx(2));
  CHECK(p.shares[0] == Approx(1));
  CHECK(p.components.row(0)[0] == Approx(1));
  CHECK(p.scores.values == std::vector<float>{-1, 1});
  CHECK(p.mean == std::vector<double>{2, 2, 3});

  Matrix equal(5, 4);
  std::ranges::fill(equal.values, 0.25f);
  const Pca none = pca_of(equal, 2);
  CHECK(none.settled);
  CHECK(none.variances == std::vector<double>{0, 0});
  CHECK(none.shares == std::vector<double>{0, 0});
  for (const float v : none.scores.values) CHECK(v == 0);

  Matrix line(40, 30);   // rank one, each row twice
  for (int64_t i = 0; i < 40; ++i)
    for (int64_t j = 0; j < 30; ++j) line.row(i)[size_t(j)] = float(i / 2) * float(j - 10);
  const Pca one = pca_of(line, 5);
  CHECK(one.settled);
  CHECK(one.shares[0] == Approx(1).epsilon(1e-6));
  CHECK(one.shares[1] < 1e-10);
  CHECK(product(one.components.row(0), one.components.row(1)) == Approx(0).margin(1e-5));
  CHECK(one.scores.row(6)[0] == one.scores.row(7)[0]);
}

TEST_CASE("PCA refuses what it cannot do, by name", "[analysis][pca][device]") {
  CHECK_THROWS_WITH(pca_of(Matrix(1, 5), 2), contains("[pca] rows: got 1x5 numbers, expected at least 2"));
  CHECK_THROWS_WITH(pca_of(Matrix(3, 0), 2), contains("[pca] rows"));
  CHECK_THROWS_WITH(pca_of(Matrix(3, 5), 0), contains("[pca] components: got 0"));
  Matrix x(4, 3);
  x.row(2)[1] = NAN;
  CHECK_THROWS_WITH(pca_of(x, 2), contains("[pca] row 2: it has numbers that are not finite"));
}

TEST_CASE("affinities equal scikit-learn's", "[analysis][tsne]") {
  const json recorded = fixture::load("tsne.json");
  const HostTensor p = affinities_of(clusters(recorded.at("rows"), recorded.at("columns"), recorded.at("clusters")).x, 30);
  const auto m = fixture::measure(recorded.at("affinities"), "affinities", std::span<const double>(p.data));
  INFO(m.text);
  CHECK(m.error < 1e-6);   // the same bisection, step for step
}

TEST_CASE("t-SNE comes as far as scikit-learn's", "[analysis][tsne][device]") {
  const int dimensions = GENERATE(2, 3);
  const json recorded = fixture::load("tsne.json");
  const Clusters c = clusters(recorded.at("rows"), recorded.at("columns"), recorded.at("clusters"));
  int last = 0;
  const Tsne t = tsne_of(c.x, {.dimensions = dimensions, .progress = [&](int done, int total) {
                                 CHECK((done == last + 50 && total == 1000));
                                 last = done;
                               }});
  CHECK(last == 1000);
  CHECK(t.message.empty());
  CHECK((t.points.rows == c.x.rows && t.points.columns == dimensions));
  // In three dimensions scikit-learn does not follow the derivative, and comes less far; with it put right, as far as we.
  const auto theirs = [&](const char* how) { return recorded.at(fmt::format("divergence.{}{}", dimensions, how)).get<double>(); };
  CHECK(t.divergence == Approx(theirs(".true_gradient")).epsilon(0.02));
  CHECK(t.divergence <= 1.02 * theirs(""));
  CHECK(t.divergence == Approx(divergence_of(affinities_of(c.x, 30), t.points)).epsilon(1e-4));
  // A point's nearest neighbour is of its own class.
  int same = 0;
  for (int64_t i = 0; i < c.x.rows; ++i) {
    double nearest = INFINITY;
    int64_t which = -1;
    for (int64_t j = 0; j < c.x.rows; ++j) {
      double squared = 0;
      for (size_t k = 0; k < size_t(dimensions); ++k) squared += std::pow(double(t.points.row(i)[k]) - t.points.row(j)[k], 2);
      if (i != j && squared < nearest) nearest = squared, which = j;
    }
    same += c.labels[size_t(i)] == c.labels[size_t(which)];
  }
  CHECK(same >= 235);
  CHECK(new_validation_messages() == "");
}

TEST_CASE("t-SNE repeats bit for bit", "[analysis][tsne][device]") {
  const Matrix x = clusters(101, 9, 5).x;
  const TsneOptions options{.iterations = 60, .exploration = 30};
  const Tsne a = tsne_of(x, options), b = tsne_of(x, options);
  CHECK(a.points.values == b.points.values);
  CHECK(a.divergence == b.divergence);
  CHECK(tsne_of(x, {.iterations = 61, .exploration = 30}).points.values != a.points.values);
}

TEST_CASE("t-SNE of few, equal and flat points", "[analysis][tsne][device]") {
  const Tsne few = tsne_of(clusters(10, 5, 2).x, {.iterations = 50});
  CHECK(few.perplexity == 3);
  CHECK(few.message == "perplexity 3 instead of 30: there are only 10 points");
  CHECK(std::isfinite(few.divergence));

  Matrix equal(9, 4);
  std::ranges::fill(equal.values, 3.5f);
  const Tsne same = tsne_of(equal, {.iterations = 20});
  CHECK(same.divergence == Approx(0).margin(1e-5));   // all of them as near to each other as they were

  Matrix line(40, 1);   // one component, for two dimensions
  for (int64_t i = 0; i < 40; ++i) line.row(i)[0] = float(i * i);
  const Tsne one = tsne_of(line, {.iterations = 300});
  CHECK(std::isfinite(one.divergence));
  double across = 0;
  for (int64_t i = 0; i < 40; ++i) across = std::max(across, std::abs(double(one.points.row(i)[1])));
  CHECK(across > 1e-3);   // it has left the line
}

TEST_CASE("t-SNE refuses what it cannot do, by name", "[analysis][tsne][device]") {
  const Matrix x = clusters(12, 5, 2).x;
  CHECK_THROWS_WITH(tsne_of(clusters(3, 5, 2).x, {}), contains("[t-sne] rows: got 3x5 numbers, expected at least 4"));
  CHECK_THROWS_WITH(tsne_of(x, {.dimensions = 4}), contains("[t-sne] dimensions: got 4, expected 2 or 3"));
  CHECK_THROWS_WITH(tsne_of(x, {.perplexity = 0.5}), contains("[t-sne] perplexity: got 0.5"));
  CHECK_THROWS_WITH(tsne_of(x, {.perplexity = NAN}), contains("[t-sne] perplexity"));
  CHECK_THROWS_WITH(tsne_of(x, {.iterations = 0}), contains("[t-sne] got 0 iterations"));
  CHECK_THROWS_WITH(tsne_of(x, {.iterations = 30, .rate = 1e30}), contains("[t-sne] the points have flown apart"));
  Matrix bad = x;
  bad.row(7)[3] = INFINITY;
  CHECK_THROWS_WITH(tsne_of(bad, {}), contains("[t-sne] row 7: it has numbers that are not finite"));
}
