// Softmax cross-entropy with class weights, label smoothing (Szegedy et al., 2016), ignored rows and the focal factor
// (Lin et al., Focal Loss for Dense Object Detection, 2017). For a row with label y, K classes and p = softmax(logits):
//
//   t_c   = (c == y) * (1 - smoothing) * weight[y] + smoothing / K * weight[c]
//   row   = (1 - p_y)^gamma * sum_c t_c * -log p_c
//   loss  = sum(row) / sum(weight[y])      over rows with 0 <= y < K; 0 where the sum of weights is 0
//
// Without the focal factor this is torch.nn.CrossEntropyLoss(weight, label_smoothing) to the letter: row is its
// reduction='none', loss its reduction='mean'. The focal factor multiplies the whole row, smoothing and weights included, and
// the mean still divides by the weights alone. Everything is f32: cast logits of other storage first.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/loss.h"

namespace vkfer::ops {

namespace {

void check_rows(const InputCheck& check, std::span<const TensorDesc> in) {
  check.dtype(0, "logits", DType::f32);
  check.rank(0, "logits", 2);
  check.not_empty(0, "logits");
  check.dtype(1, "labels", DType::i32);
  check.shape(1, "labels", Shape{in[0].shape[0]});
  check.dtype(2, "class_weights", DType::f32);
  check.shape(2, "class_weights", Shape{in[0].shape[1]});
}

void check_attributes(const InputCheck& check, const Attrs& attrs) {
  const double smoothing = attrs.number("label_smoothing", 0), gamma = attrs.number("focal_gamma", 0);
  check.require(smoothing >= 0 && smoothing <= 1,
                "got label_smoothing={}, expected 0 to 1. Fix: correct the attribute.", smoothing);
  check.require(gamma >= 0, "got focal_gamma={}, expected 0 or more. Fix: correct the attribute.", gamma);
}

std::vector<TensorDesc> loss_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("softmax_cross_entropy", label, in);
  check.count(3);
  check_rows(check, in);
  check_attributes(check, attrs);
  return {{Shape{1}}, in[0], {Shape{in[0].shape[0]}}};
}

std::vector<TensorDesc> grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("softmax_cross_entropy_grad", label, in);
  check.count(4);
  check_rows(check, in);
  check_attributes(check, attrs);
  check.shape(3, "dloss", Shape{1});
  return {in[0]};
}

std::vector<TensorDesc> softmax_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("softmax", label, in);
  check.count(1);
  check.dtype(0, "x", DType::f32);
  check.rank(0, "x", 2);
  check.not_empty(0, "x");
  return {in[0]};
}

// ---- the definition, row by row ----

struct Row {
  std::vector<double> p, log_p;
};

Row softmax_row(const HostTensor& x, size_t row) {
  const size_t classes = size_t(x.shape[1]);
  const double* values = x.data.data() + row * classes;
  const double maximum = *std::max_element(values, values + classes);
  double sum = 0;
  for (size_t c = 0; c < classes; ++c) sum += std::exp(values[c] - maximum);
  Row r;
  for (size_t c = 0; c < classes; ++c)
    r.log_p.push_back(values[c] - maximum - std::log(sum)), r.p.push_back(std::exp(r.log_p[c]));
  return r;
}

struct Loss {
  const Attrs& attrs;
  const HostTensor &labels, &weights;

  size_t classes() const { return weights.data.size(); }
  bool labelled(size_t row) const { return labels[row] >= 0 && labels[row] < double(classes()); }
  size_t label(size_t row) const { return size_t(labels[row]); }
  double gamma() const { return attrs.number("focal_gamma", 0); }

  double target(size_t label, size_t c) const {
    const double smoothing = attrs.number("label_smoothing", 0);
    return smoothing / double(classes()) * weights[c] + (c == label ? (1 - smoothing) * weights[c] : 0);
  }
  double cross_entropy(const Row& r, size_t label) const {
    double sum = 0;
    for (size_t c = 0; c < classes(); ++c)
      if (target(label, c) != 0) sum -= target(label, c) * r.log_p[c];
    return sum;
  }
  // 1 - p_label without cancellation
  double miss(const Row& r, size_t label) const {
    double sum = 0;
    for (size_t c = 0; c < classes(); ++c)
      if (c != label) sum += r.p[c];
    return sum;
  }
  double focal(double miss) const { return gamma() == 0 ? 1 : std::pow(miss, gamma()); }
  double total_weight() const {
    double sum = 0;
    for (size_t row = 0; row < labels.data.size(); ++row)
      if (labelled(row)) sum += weights[label(row)];
    return sum;
  }
};

void loss_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Loss loss{attrs, in[1], in[2]};
  double sum = 0;
  for (size_t row = 0; row < in[1].data.size(); ++row) {
    const Row r = softmax_row(in[0], row);
    std::copy(r.p.begin(), r.p.end(), out[1].data.begin() + std::ptrdiff_t(row * loss.classes()));
    if (!loss.labelled(row)) continue;
    const size_t label = loss.label(row);
    out[2][row] = loss.focal(loss.miss(r, label)) * loss.cross_entropy(r, label);
    sum += out[2][row];
  }
  const double weight = loss.total_weight();
  out[0][0] = weight == 0 ? 0 : sum / weight;
}

void grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Loss loss{attrs, in[1], in[2]};
  const double weight = loss.total_weight(), gamma = loss.gamma();
  for (size_t row = 0; row < in[1].data.size(); ++row) {
    if (!loss.labelled(row) || weight == 0) continue;
    const Row r = softmax_row(in[0], row);
    const size_t label = loss.label(row);
    const double miss = loss.miss(r, label), entropy = loss.cross_entropy(r, label);
    double total = 0;
    for (size_t c = 0; c < loss.classes(); ++c) total += loss.target(label, c);
    for (size_t c = 0; c < loss.classes(); ++c) {
      const double ratio = c == label ? 1 : miss > 0 ? -r.p[c] / miss : 0;  // (delta - p_c) / (1 - p_label)
      const double slope = loss.focal(miss) * (total * r.p[c] - loss.target(label, c)) -
                           entropy * gamma * loss.focal(miss) * r.p[label] * ratio;
      out[0][row * loss.classes() + c] = in[3][0] / weight * slope;
    }
  }
}

void softmax_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for (size_t row = 0; row < size_t(in[0].shape[0]); ++row) {
    const Row r = softmax_row(in[0], row);
    std::copy(r.p.begin(), r.p.end(), out[0].data.begin() + std::ptrdiff_t(row * r.p.size()));
  }
}

void grad(Gradient& g) {
  if (g.grad(1) || g.grad(2))
    fail("softmax_cross_entropy",
         "only the loss has a gradient, not the probabilities or the rows. Fix: build the loss from output 0.");
  if (g.wants(2)) fail("softmax_cross_entropy", "class weights have no gradient. Fix: do not train them.");
  if (g.wants(0) && g.grad())
    g.set(0, g.add(softmax_cross_entropy_grad, g.attrs(), {g.in(0), g.in(1), g.in(2), g.grad()}, "grad")[0]);
}

// ---- lowering: an invocation handles a row; the mean is one workgroup ----

params::CrossEntropy push_of(const Lowering& l) {
  const Shape& x = l.in_desc(0).shape;
  return {uint32_t(x[0]), uint32_t(x[1]), float(l.attrs().number("label_smoothing", 0)),
          float(l.attrs().number("focal_gamma", 0))};
}

params::Rows rows_of(const Lowering& l) { return {uint32_t(l.in_desc(0).shape[0]), uint32_t(l.in_desc(0).shape[1])}; }

void loss_lower(Lowering& l) {
  const params::CrossEntropy push = push_of(l);
  l.dispatch("softmax_cross_entropy.f32", {l.target.workgroup}, {l.in(0), l.in(1), l.in(2), l.out(1), l.out(2)}, push,
             groups_for_single(l, push.rows));
  l.dispatch("weighted_mean.f32", {tree_workgroup(l), 0}, {l.out(2), l.in(1), l.in(2), l.out(0)}, rows_of(l),
             {1, 1, 1});
}

void grad_lower(Lowering& l) {
  const params::CrossEntropy push = push_of(l);
  const Binding inverse_weight = l.workspace(sizeof(float));
  l.dispatch("weighted_mean.f32", {tree_workgroup(l), 1}, {l.in(2), l.in(1), l.in(2), inverse_weight}, rows_of(l),
             {1, 1, 1});
  l.dispatch("softmax_cross_entropy_grad.f32", {l.target.workgroup},
             {l.in(0), l.in(1), l.in(2), l.in(3), inverse_weight, l.out(0)}, push, groups_for_single(l, push.rows));
}

void softmax_lower(Lowering& l) {
  l.dispatch("softmax.f32", {l.target.workgroup}, {l.in(0), l.out(0)}, rows_of(l),
             groups_for_single(l, l.in_desc(0).shape[0]));
}

std::vector<Case> loss_cases() {
  const auto row = [](int64_t n, int64_t k, Numbers labels, Numbers weights, double smoothing, double gamma,
                      double range = 3) {
    return Case{.in = {f32({n, k}), i32({n}), f32({k})},
                .attrs = {{"label_smoothing", smoothing}, {"focal_gamma", gamma}},
                .fill = {Fill::real(-range, range), Fill::fixed(std::move(labels)), Fill::fixed(std::move(weights))}};
  };
  const Numbers ones{1}, uneven{0.5, 2, 1, 0.25, 3};
  return {row(1, 1, {0}, ones, 0, 0),
          row(5, 7, {3, 0, 6, 2, 5}, ones, 0, 0),
          row(5, 7, {3, -1, 6, -100, 5}, uneven, 0, 0),
          row(9, 5, {3, 0, 1, 2, 4, 4, -1, 2, 0}, uneven, 0.1, 0),
          row(4, 3, {-1}, uneven, 0.1, 2),
          row(6, 7, {0, 1, 2, 3, 4, 5}, ones, 0, 2),
          row(6, 7, {6, 1, -1, 3, 4, 5}, uneven, 0.2, 1.5),
          row(4, 4, {0, 1, 2, 3}, ones, 0, 0.5),
          row(3, 1, {0, -1, 0}, ones, 0.1, 2),
          row(3, 4, {1, 3, 9}, {0, 1, 1, 0}, 0, 0),
          row(3, 5, {4, 2, 0}, uneven, 0, 0, 80),
          row(67, 130, {129, 5, 77, 0, -1}, uneven, 0.1, 0),
          {.in = {f32({3, 4}), i32({3}), f32({4})},
           .attrs = {{"label_smoothing", 0.1}},
           .fill = {Fill::fixed({1e4, -1e4, 3e4, 0, 5, 5, 5, 5, -1e4, 20, -3e4, 19}), Fill::fixed({2, 1, 3}),
                    Fill::fixed({1})}},
          {.in = {f32({2, 3}), i32({2}), f32({3})},
           .attrs = {{"focal_gamma", 2.0}},
           .fill = {Fill::fixed({1e4, 0, 0, 0, 200, 0}), Fill::fixed({0, 0}), Fill::fixed({1, 2, 3})}}};
}

std::vector<Case> softmax_cases() {
  return {{.in = {f32({1, 1})}},
          {.in = {f32({5, 7})}, .fill = {Fill::real(-5, 5)}},
          {.in = {f32({3, 4})}, .fill = {Fill::fixed({1e4, -1e4, 3e4, 0, 5, 5, 5, 5, -1e4, 20, -3e4, 19})}},
          {.in = {f32({66, 101})}, .fill = {Fill::real(-20, 20)}}};
}

}  // namespace

const OpDef softmax_cross_entropy{.name = "softmax_cross_entropy",
                                  .shape = loss_shape,
                                  .reference = loss_reference,
                                  .grad = grad,
                                  .lower = loss_lower,
                                  .cases = loss_cases,
                                  .error = 1e-5};

const OpDef softmax_cross_entropy_grad{.name = "softmax_cross_entropy_grad",
                                       .shape = grad_shape,
                                       .reference = grad_reference,
                                       .lower = grad_lower,
                                       .error = 1e-5};

const OpDef softmax{.name = "softmax",
                    .shape = softmax_shape,
                    .reference = softmax_reference,
                    .lower = softmax_lower,
                    .cases = softmax_cases,
                    .error = 1e-5};

}  // namespace vkfer::ops
