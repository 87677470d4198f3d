// t-SNE: van der Maaten & Hinton, Visualizing Data using t-SNE, 2008; the details as scikit-learn's exact method has them, with
// dimensions - 1 degrees of freedom (van der Maaten, Learning a Parametric Embedding by Preserving Local Structure, 2009).
// Points are columns, and their number is rounded up to a multiple of 4: n points of d numbers are [d,N].
#include <cmath>
#include <limits>
#include <numeric>

#include "graph/ops/conv_geometry.h"
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/tsne.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kMostTurns = 60000;   // of an invocation's loops: lavapipe ends them after 65,535
constexpr int kMostSteps = 100;         // of a bisection, and below what it has to come to: as scikit-learn
constexpr double kTolerance = 1e-5;

int64_t padded(int64_t points) { return (points + 3) / 4 * 4; }

// Attr points, which the N columns of input 0 are.
int64_t points_of(const Attrs& attrs, const InputCheck& check, const TensorDesc& columns) {
  const int64_t n = attrs.integer("points");
  check.require(n >= 2 && columns.shape[1] == padded(n), "got points={} and {} columns, expected as many, rounded up to a multiple of 4. Fix: pad them.", n, columns.shape[1]);
  return n;
}

// Rows of a square matrix [N,N] that can be bound at once: fours of them.
std::vector<Slice> row_slices(const Lowering& l, const TensorDesc& matrix) {
  const int64_t n = matrix.shape[0];
  std::vector<Slice> slices = l.batch_slices({f32({n / 4, 4 * n})});
  for (Slice& s : slices) s.first *= 4, s.count *= 4;
  return slices;
}

void check_turns(const Lowering& l, int64_t turns) {
  if (turns > kMostTurns) fail("plan", "'{}': got loops of {} turns, expected at most {}. Fix: give it fewer points", l.label(), turns, kMostTurns);
}

// ---- affinities ----

std::vector<TensorDesc> affinities_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("affinities", label, in);
  check.count(1);
  check.dtype(0, "x", DType::f32), check.rank(0, "x", 2), check.not_empty(0, "x");
  const int64_t n = points_of(attrs, check, in[0]);
  const double perplexity = attrs.number("perplexity");
  check.require(perplexity >= 1 && perplexity < double(n), "got perplexity {}, expected 1 to less than the {} points. Fix: lower it.", perplexity, n);
  return {f32({padded(n), padded(n)})};
}

// p(j|i) for all j, given the squared distances from i.
std::vector<double> conditional(const std::vector<double>& distances, size_t i, double perplexity) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double least = infinity;
  for (size_t j = 0; j < distances.size(); ++j)
    if (j != i) least = std::min(least, distances[j]);
  double precision = 1, low = 0, high = infinity;
  std::vector<double> p(distances.size());
  for (int step = 0; step < kMostSteps; ++step) {
    double sum = 0, mean = 0;
    for (size_t j = 0; j < p.size(); ++j) sum += p[j] = j == i ? 0 : std::exp(-precision * (distances[j] - least));
    for (size_t j = 0; j < p.size(); ++j) p[j] /= sum, mean += p[j] > 0 ? p[j] * (distances[j] - least) : 0;
    const double excess = std::log(sum) + precision * mean - std::log(perplexity);
    if (std::abs(excess) <= kTolerance) break;
    if (excess > 0) low = precision, precision = std::isinf(high) ? 2 * precision : (precision + high) / 2;
    else high = precision, precision = low == 0 ? precision / 2 : (precision + low) / 2;
  }
  return p;
}

void affinities_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = size_t(attrs.integer("points")), columns = size_t(in[0].shape[1]), d = size_t(in[0].shape[0]);
  for (size_t i = 0; i < n; ++i) {
    std::vector<double> distances(n);
    for (size_t j = 0; j < n; ++j)
      for (size_t k = 0; k < d; ++k) distances[j] += std::pow(in[0][k * columns + i] - in[0][k * columns + j], 2);
    const std::vector<double> p = conditional(distances, i, attrs.number("perplexity"));
    for (size_t j = 0; j < n; ++j) out[0][i * columns + j] += p[j] / double(2 * n), out[0][j * columns + i] += p[j] / double(2 * n);
  }
}

// The matrix is made once: distances lie where the probabilities will.
void affinities_lower(Lowering& l) {
  const TensorDesc matrix = l.out_desc(0);
  const int64_t n = l.attrs().integer("points"), columns = matrix.shape[0], vectors = columns / 4, dimensions = l.in_desc(0).shape[0];
  const uint32_t tree = tree_workgroup(l);
  check_turns(l, dimensions);
  check_turns(l, (kMostSteps + 1) * divide_round_up(vectors, tree) + 2000);   // and the trees of sums
  const Binding found = l.workspace(size_t(3 * columns) * sizeof(float));
  const std::vector<Slice> slices = row_slices(l, matrix);
  const auto push_of = [&](Slice s) {
    return params::Affinities{uint32_t(n), uint32_t(vectors), uint32_t(dimensions), uint32_t(s.first), uint32_t(s.count), float(std::log(l.attrs().number("perplexity"))),
                              float(1 / double(2 * n)), params::divisor(vectors)};
  };
  for (Slice s : slices) {
    l.dispatch("tsne_distances.f32", {l.target.workgroup}, {l.in(0), l.out(0, s)}, push_of(s), groups_for_single(l, s.count * vectors));
    const int64_t rows = std::min(s.count, n - s.first);   // of points
    if (rows <= 0) continue;
    params::Affinities push = push_of(s);
    push.rows = uint32_t(rows);
    l.dispatch("tsne_precision.f32", {tree}, {l.out(0, s), found}, push, l.linear_groups(uint64_t(rows)));
  }
  for (Slice s : slices) l.dispatch("tsne_joint.f32", {l.target.workgroup}, {l.out(0, s), found}, push_of(s), groups_for_single(l, s.count * vectors));
}

Cost affinities_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<0>(attrs, in, out);
  constexpr double kSteps = 25, kExponential = 25;   // steps that a bisection usually takes, operations of one
  c.flops = double(out[0].elements()) * (3 * double(in[0].shape[0]) + kSteps * kExponential);
  return c;
}

std::vector<Case> affinities_cases() {
  const auto row = [](int64_t n, int64_t d, double perplexity, Fill fill) {
    return Case{.in = {f32({d, padded(n)})}, .attrs = {{"points", n}, {"perplexity", perplexity}}, .fill = {std::move(fill)}};
  };
  return {row(2, 1, 1, Fill::real()), row(7, 3, 2, Fill::real()), row(38, 2, 10, Fill::real(-30, 30)), row(130, 70, 30, Fill::real(-0.01, 0.01)), row(61, 5, 4.5, Fill::real(1000, 1001)),
          row(9, 2, 5, Fill::fixed({1, 1, 1}))};   // all points the same
}

// ---- tsne_forces ----

int64_t check_embedding(const Attrs& attrs, const InputCheck& check, std::span<const TensorDesc> in) {
  check.dtype(0, "y", DType::f32), check.rank(0, "y", 2);
  check.require(in[0].shape[0] == 2 || in[0].shape[0] == 3, "y has {} dimensions, expected 2 or 3.", in[0].shape[0]);
  return points_of(attrs, check, in[0]);
}

void check_settings(const InputCheck& check, size_t i) { check.dtype(i, "settings", DType::f32), check.shape(i, "settings", Shape{params::kTsneSettings}); }

std::vector<TensorDesc> forces_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("tsne_forces", label, in);
  check.count(3);
  check_embedding(attrs, check, in);
  const int64_t columns = in[0].shape[1];
  check.dtype(1, "p", DType::f32), check.shape(1, "p", Shape{columns, columns});
  check_settings(check, 2);
  return {f32({2 * in[0].shape[0] + 2, columns})};
}

double freedom(size_t dimensions) { return std::max(1.0, double(dimensions) - 1); }

void forces_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = size_t(attrs.integer("points")), d = size_t(in[0].shape[0]), columns = size_t(in[0].shape[1]);
  const double v = freedom(d);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const auto difference = [&](size_t k) { return in[0][k * columns + i] - in[0][k * columns + j]; };
      double squared = 0;
      for (size_t k = 0; k < d; ++k) squared += difference(k) * difference(k);
      const double p = in[1][j * columns + i], u = 1 / (1 + squared / v), q = std::pow(u, (v + 1) / 2);
      for (size_t k = 0; k < d; ++k) out[0][k * columns + i] += p * u * difference(k), out[0][(d + k) * columns + i] += q * u * difference(k);
      out[0][2 * d * columns + i] += q;
      if (in[2][params::kMeasure] != 0 && p > 0) out[0][(2 * d + 1) * columns + i] += p * std::log(p / q);
    }
}

void forces_lower(Lowering& l) {
  const TensorDesc matrix = l.in_desc(1), forces = l.out_desc(0);
  const int64_t dimensions = l.in_desc(0).shape[0], columns = matrix.shape[0], groups = divide_round_up(columns, int64_t(l.target.workgroup));
  // As many slices of the others as fill the device, in fours, of not too many turns.
  constexpr int64_t kLeastRows = 64;
  const int64_t wanted = std::max<int64_t>(1, std::min(divide_round_up(l.target.parallel_groups, groups), columns / kLeastRows));
  const int64_t per_slice = std::min(padded(divide_round_up(columns, wanted)), padded(kMostTurns));
  const std::vector<Slice> parts = row_slices(l, matrix);
  const bool by_rows = l.target.scalar_loads && parts.size() == 1;   // as CPU drivers have it
  int64_t slices = 0;
  for (Slice s : parts) slices += divide_round_up(s.count, per_slice);
  const Binding partial = slices == 1 ? l.out(0) : l.workspace(size_t(slices) * forces.bytes());
  int64_t first_slice = 0;
  for (Slice s : parts) {
    const int64_t count = divide_round_up(s.count, per_slice);
    const params::TsneForces push{uint32_t(l.attrs().integer("points")), uint32_t(columns / 4), uint32_t(s.first), uint32_t(s.count), uint32_t(per_slice), uint32_t(first_slice), uint32_t(count),
                                  params::divisor(groups)};
    l.dispatch("tsne_forces.f32", {l.target.workgroup, uint32_t(dimensions), uint32_t(by_rows)}, {l.in(0), l.in(1, s), l.in(2), partial}, push, l.linear_groups(uint64_t(count * groups)));
    first_slice += count;
  }
  if (slices > 1) sum_slices(l, partial, l.out(0), forces.elements(), slices);
}

Cost forces_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<0>(attrs, in, out);
  c.flops = (8 + 6 * double(in[0].shape[0])) * double(in[1].elements());
  return c;
}

const Fill kMeasured = Fill::fixed({12, 0.5, 50, 0, 1}), kUnmeasured = Fill::fixed({4, 0.8, 2, 1, 0});

// Symmetric, as P has to be; some pairs have none.
Fill symmetric(int64_t columns) {
  Numbers p;
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j < columns; ++j) p.push_back(double((i * j + 3 * (i + j)) % 11) / 110);
  return Fill::fixed(std::move(p));
}

std::vector<Case> forces_cases() {
  const auto row = [](int64_t n, int64_t d, Fill y, const Fill& settings) {
    return Case{.in = {f32({d, padded(n)}), f32({padded(n), padded(n)}), f32({params::kTsneSettings})}, .attrs = {{"points", n}}, .fill = {std::move(y), symmetric(padded(n)), settings}};
  };
  return {row(2, 2, Fill::real(), kMeasured), row(7, 2, Fill::real(-3, 3), kUnmeasured), row(7, 3, Fill::real(-3, 3), kMeasured), row(333, 2, Fill::real(-30, 30), kMeasured),
          row(130, 3, Fill::real(-20, 20), kUnmeasured)};
}

// ---- tsne_step ----

std::vector<TensorDesc> step_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("tsne_step", label, in);
  check.count(5);
  check.dtype(0, "y", DType::f32), check.rank(0, "y", 2), check.not_empty(0, "y");
  check.require(in[0].shape[0] <= 3, "y has {} dimensions, expected at most 3.", in[0].shape[0]);
  for (size_t i : {1, 2}) check.dtype(i, i == 1 ? "change" : "gain", DType::f32), check.same_shape(i, i == 1 ? "change" : "gain", 0, "y");
  check.dtype(3, "forces", DType::f32), check.shape(3, "forces", Shape{2 * in[0].shape[0] + 2, in[0].shape[1]});
  check_settings(check, 4);
  return {in[0], in[0], in[0]};
}

double gradient_factor(int64_t dimensions) {
  const double v = freedom(size_t(dimensions));
  return 2 * (v + 1) / v;
}

void step_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const HostTensor &forces = in[3], &settings = in[4];
  const size_t count = in[0].data.size(), columns = size_t(in[0].shape[1]);
  const double total = std::accumulate(forces.data.begin() + ptrdiff_t(2 * count), forces.data.begin() + ptrdiff_t(2 * count + columns), 0.0);
  const bool fresh = settings[params::kFresh] != 0;
  for (size_t i = 0; i < count; ++i) {
    const double change = fresh ? 0 : in[1][i], gain = fresh ? 1 : in[2][i];
    const double gradient = gradient_factor(in[0].shape[0]) * (settings[params::kExaggeration] * forces[i] - forces[count + i] / total);
    out[2][i] = std::max(0.01, change * gradient < 0 ? gain + 0.2 : 0.8 * gain);
    out[1][i] = settings[params::kMomentum] * change - settings[params::kRate] * out[2][i] * gradient;
    out[0][i] = in[0][i] + out[1][i];
  }
}

void step_lower(Lowering& l) {
  const int64_t count = l.in_desc(0).elements(), columns = l.in_desc(0).shape[1];
  const uint32_t tree = tree_workgroup(l);
  check_turns(l, divide_round_up(columns, tree));
  l.dispatch("tsne_step.f32", {tree}, {l.in(0), l.in(1), l.in(2), l.in(3), l.in(4), l.out(0), l.out(1), l.out(2)},
             params::TsneStep{uint32_t(count), uint32_t(columns), float(gradient_factor(l.in_desc(0).shape[0]))}, l.linear_groups(uint64_t(divide_round_up(count, tree))));
}

std::vector<Case> step_cases() {
  const auto row = [](int64_t d, int64_t columns, const Fill& settings) {
    const Shape y{d, columns};
    return Case{.in = {f32(y), f32(y), f32(y), f32({2 * d + 2, columns}), f32({params::kTsneSettings})},
                .fill = {Fill::real(), Fill::real(), Fill::real(0.01, 2), Fill::real(0.5, 1), settings}};
  };
  return {row(2, 4, kMeasured), row(3, 12, kMeasured), row(2, 36, kUnmeasured), row(3, 400, kMeasured)};
}

}  // namespace

const OpDef affinities{.name = "affinities",
                       .shape = affinities_shape,
                       .reference = affinities_reference,
                       .lower = affinities_lower,
                       .cost = affinities_cost,
                       .cases = affinities_cases,
                       .error = 1e-4};

const OpDef tsne_forces{.name = "tsne_forces",
                        .shape = forces_shape,
                        .reference = forces_reference,
                        .lower = forces_lower,
                        .cost = forces_cost,
                        .cases = forces_cases,
                        .error = 1e-5};

const OpDef tsne_step{.name = "tsne_step",
                      .shape = step_shape,
                      .reference = step_reference,
                      .lower = step_lower,
                      .cost = elementwise_cost<12>,
                      .cases = step_cases,
                      .in_place = {{0, 0}, {1, 1}, {2, 2}},
                      .error = 2e-6};

}  // namespace vkfer::ops
