#include "tools/analysis/tsne.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "shaders/params/tsne.h"
#include "tools/analysis/pca.h"
#include "tools/data/philox.h"

namespace vkfer {
namespace {

constexpr double kStartDeviation = 1e-4;
constexpr double kExplorationMomentum = 0.5, kMomentum = 0.8;
constexpr int kProgressEvery = 50;
constexpr uint64_t kSeed = 2;

using TsneSettings = std::array<float, params::kTsneSettings>;   // see ops::tsne_forces

int64_t padded(int64_t n) { return (n + 3) / 4 * 4; }

// [n,d] as the ops take points: [d,N].
std::vector<float> as_columns(const Matrix& m) {
  const size_t columns = size_t(padded(m.rows));
  std::vector<float> values(size_t(m.columns) * columns);
  for (int64_t i = 0; i < m.rows; ++i)
    for (size_t k = 0; k < size_t(m.columns); ++k) values[k * columns + size_t(i)] = m.row(i)[k];
  return values;
}

Matrix as_rows(std::span<const float> values, int64_t n, int64_t d) {
  Matrix m(n, d);
  const size_t columns = size_t(padded(n));
  for (int64_t i = 0; i < n; ++i)
    for (size_t k = 0; k < size_t(d); ++k) m.row(i)[k] = values[k * columns + size_t(i)];
  return m;
}

// The probabilities depend on states alone that nothing updates: the executor computes them once, before the first run.
class Descent {
 public:
  Descent(Device& device, const Target& target, const Matrix& x, const Matrix& start, double perplexity) : states_(device), n_(x.rows), d_(start.columns) {
    Graph g;
    const int64_t columns = padded(n_);
    const Value points = g.state("x", {{x.columns, columns}, DType::f32});
    const Value p = g.add1(ops::affinities, {{"points", n_}, {"perplexity", perplexity}}, {points}, "affinities");
    const TensorDesc embedding{{d_, columns}, DType::f32};
    const Value y = g.state("y", embedding), change = g.state("change", embedding), gain = g.state("gain", embedding);
    settings_ = g.input("settings", {{params::kTsneSettings}, DType::f32});
    forces_ = g.add1(ops::tsne_forces, {{"points", n_}}, {y, p, settings_}, "forces");
    const std::vector<Value> next = g.add(ops::tsne_step, {}, {y, change, gain, forces_, settings_}, "step");
    g.update(y, next[0]);
    g.update(change, next[1]);
    g.update(gain, next[2]);
    g.output(forces_);
    for (const Value v : {points, y, change, gain}) states_.region(g.info(v).name, g.desc(v));
    states_.write("x", as_columns(x));
    states_.write("y", as_columns(start));
    Plan plan = make_plan(g, target);
    executor_ = std::make_unique<Executor>(device, std::move(g), std::move(plan), states_);
  }

  void start_step(const TsneSettings& settings) {
    if (executor_->in_flight() >= Executor::kMostInFlight) executor_->wait();
    executor_->write(settings_, std::span<const float>(settings));
    executor_->submit();
  }

  // Of where the points are now: they do not move.
  double divergence() {
    TsneSettings still{};
    still[params::kExaggeration] = 1, still[params::kMeasure] = 1;
    executor_->drain();
    executor_->write(settings_, std::span<const float>(still));
    executor_->run();
    const std::vector<float> forces = executor_->read(forces_);
    const size_t columns = size_t(padded(n_)), first = size_t(2 * d_) * columns;
    double weight = 0, divergence = 0;
    for (size_t i = 0; i < size_t(n_); ++i) weight += forces[first + i], divergence += forces[first + columns + i];
    return divergence + std::log(weight);   // q is by the total weight, and all P add up to 1
  }

  Matrix points() {
    executor_->drain();
    return as_rows(states_.read("y"), n_, d_);
  }

 private:
  States states_;
  const int64_t n_, d_;
  Value settings_, forces_;
  std::unique_ptr<Executor> executor_;
};

void check(const Matrix& x, const TsneOptions& o) {
  if (x.rows < 4 || x.columns < 1) fail("t-sne", "rows: got {}x{} numbers, expected at least 4 rows of 1. Fix: give it more pictures", x.rows, x.columns);
  if (o.dimensions != 2 && o.dimensions != 3) fail("t-sne", "dimensions: got {}, expected 2 or 3", o.dimensions);
  if (!(o.perplexity >= 1)) fail("t-sne", "perplexity: got {}, expected at least 1", o.perplexity);
  if (o.iterations < 1 || o.exploration < 0 || !(o.exaggeration > 0) || !(o.rate >= 0))
    fail("t-sne", "got {} iterations, {} of exploration, exaggeration {}, rate {}, expected at least 1, 0, more than 0, and 0 or more", o.iterations, o.exploration, o.exaggeration, o.rate);
  for (int64_t i = 0; i < x.rows; ++i)
    if (!std::ranges::all_of(x.row(i), [](float v) { return std::isfinite(v); })) fail("t-sne", "row {}: it has numbers that are not finite. Fix: look at what made it", i);
}

// The first components, the first of them with the wanted deviation. Where there are fewer components than dimensions, as noise: points on
// a line could never leave it.
Matrix starting_points(const Pca& components, int64_t n, int dimensions) {
  Matrix start(n, dimensions);
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += std::pow(components.scores.row(i)[0], 2);
  const double deviation = std::sqrt(squares / double(n));
  PhiloxSequence random(kSeed, PhiloxStream::analysis);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < dimensions; ++k) {
      const bool has = k < components.scores.columns;
      const double share = !has ? 2.0 * random.uniform() - 1 : deviation > 0 ? components.scores.row(i)[size_t(k)] / deviation : 0;
      start.row(i)[size_t(k)] = float(kStartDeviation * share);
    }
  return start;
}

// Distances do not change, and f32 has more digits for them.
Matrix centred(const Matrix& x, const std::vector<double>& mean) {
  Matrix c(x.rows, x.columns);
  for (int64_t i = 0; i < x.rows; ++i)
    for (size_t k = 0; k < mean.size(); ++k) c.row(i)[k] = float(x.row(i)[k] - mean[k]);
  return c;
}

}  // namespace

Tsne tsne(Device& device, const Target& target, const Matrix& x, const TsneOptions& o) {
  check(x, o);
  Tsne result;
  result.perplexity = std::min(o.perplexity, double(x.rows - 1) / 3);
  if (result.perplexity < o.perplexity) result.message = fmt::format("perplexity {:.4g} instead of {:.4g}: there are only {} points", result.perplexity, o.perplexity, x.rows);
  const Pca components = pca(device, target, x, {.components = o.dimensions});
  Descent descent(device, target, centred(x, components.mean), starting_points(components, x.rows, o.dimensions), result.perplexity);

  const double rate = o.rate > 0 ? o.rate : std::max(double(x.rows) / o.exaggeration / 4, 50.0);
  const int exploration = std::min(o.exploration, o.iterations);
  for (int i = 0; i < o.iterations; ++i) {
    const bool exploring = i < exploration;
    TsneSettings settings{};
    settings[params::kExaggeration] = float(exploring ? o.exaggeration : 1);
    settings[params::kMomentum] = float(exploring ? kExplorationMomentum : kMomentum);
    settings[params::kRate] = float(rate);
    settings[params::kFresh] = float(i == 0 || i == exploration);   // each part begins without a past
    descent.start_step(settings);
    if (o.progress && (i + 1) % kProgressEvery == 0) o.progress(i + 1, o.iterations);
  }
  result.divergence = descent.divergence();
  result.points = descent.points();
  if (!std::isfinite(result.divergence)) fail("t-sne", "the points have flown apart: got a divergence of {}. Fix: lower the rate ({})", result.divergence, rate);
  return result;
}

}  // namespace vkfer
