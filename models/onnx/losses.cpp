// Losses over classes, and the optimizers of ai.onnx.preview.training: all of them sums of simpler ops.
#include "models/onnx/operators.h"

namespace vkfer {
namespace {

using Integers = std::vector<int64_t>;

// -weight[target] * log_probabilities[target], with classes in the last dimension; weighed by zero where the target is ignored.
void negative_log_likelihood(NodeImport& c, Value log_p) {
  const OnnxTensor& target = c.in(1);
  const int64_t classes = c.shape(log_p).back();
  Value labels = c.cast(c.plain(target), DType::i32), ignored;
  if (c.has("ignore_index")) {
    ignored = c.binary("equal", labels, c.scalar(double(c.integer("ignore_index", 0)), DType::i32));
    labels = c.select(ignored, c.scalar(0, DType::i32), labels);
  }
  const Value hot = c.one_hot(labels, classes, 1, 0);
  const auto chosen = [&](Value v) { return c.reduce("sum", c.binary("mul", hot, v), {target.rank()}, false); };
  Value weight = chosen(c.given(2) ? c.plain(c.in(2)) : c.scalar(1));
  if (ignored) weight = c.select(ignored, c.scalar(0), weight);
  Value loss = c.unary("neg", c.binary("mul", chosen(log_p), weight));
  const std::string reduction = c.text("reduction", "mean");
  if (reduction != "none") {
    Integers all;
    for (int64_t i = 0; i < target.rank(); ++i) all.push_back(i);
    loss = c.reduce("sum", loss, all, false);
    if (reduction == "mean") loss = c.binary("div", loss, c.reduce("sum", weight, all, false));
    else if (reduction != "sum") c.wrong("reduction is '{}'", reduction);
  }
  c.out(0, loss, c.in(0).type);
}

// [n,c] or [n,c,...] with the classes last.
Value classes_last(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  if (x.rank() < 2 || c.in(1).rank() != x.rank() - 1) c.wrong("got ranks {} and {}, expected [n,c,...] and [n,...]", x.rank(), c.in(1).rank());
  return c.in_order_of(x, x.rank() > 2);
}

void nll_loss(NodeImport& c) { negative_log_likelihood(c, classes_last(c)); }

void softmax_cross_entropy(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const Value log_p = c.add(ops::softmax_axis, {{"axis", x.rank() - 1}, {"log", 1}}, {classes_last(c)});
  negative_log_likelihood(c, log_p);
  if (c.wants(1)) c.out(1, log_p, x.type, x.rank() > 2);
}

// ---- optimizers: R, T, then n each of X, G and states -> n each of X and states ------------------------------------------

struct Step {
  NodeImport& c;
  int states;                                    // kinds of them
  int n = 0;
  Value rate, count;
  Step(NodeImport& import, int kinds) : c(import), states(kinds), rate(c.plain(c.in(0))), count(c.cast(c.plain(c.in(1)), DType::f32)) {
    if ((c.inputs() - 2) % (states + 2)) c.wrong("got {} inputs, expected two and a multiple of {}", c.inputs(), states + 2);
    n = (c.inputs() - 2) / (states + 2);
  }
  Value in(int kind, int i) const { return c.plain(c.in(2 + kind * n + i)); }
  void out(int kind, int i, Value v) const { c.out(kind * n + i, v, c.in(2 + i).type); }
  Value scaled(Value v, double by) const { return by == 1 ? v : mul(v, c.scalar(by)); }
  Value add(Value a, Value b) const { return c.binary("add", a, b); }
  Value sub(Value a, Value b) const { return c.binary("sub", a, b); }
  Value mul(Value a, Value b) const { return c.binary("mul", a, b); }
  Value div(Value a, Value b) const { return c.binary("div", a, b); }
  Value power(double base) const { return c.binary("pow", c.scalar(base), count); }
  Value if_later(Value later, Value first) const { return c.select(c.binary("greater", count, c.scalar(0)), later, first); }
  Value gradient(int i) const {                  // with coupled L2
    const double norm = c.number("norm_coefficient", 0);
    return norm == 0 ? in(1, i) : add(scaled(in(0, i), norm), in(1, i));
  }
};

void adam(NodeImport& c) {
  const Step s(c, 2);
  const double alpha = c.number("alpha", 0.9), beta = c.number("beta", 0.999), eps = c.number("epsilon", 1e-6), post = c.number("norm_coefficient_post", 0);
  const Value one = c.scalar(1);
  const Value corrected = s.div(s.mul(s.rate, c.unary("sqrt", s.sub(one, s.power(beta)))), s.sub(one, s.power(alpha)));
  const Value rate = s.if_later(corrected, s.rate);
  for (int i = 0; i < s.n; ++i) {
    const Value g = s.gradient(i), v = s.add(s.scaled(s.in(2, i), alpha), s.scaled(g, 1 - alpha));
    const Value h = s.add(s.scaled(s.in(3, i), beta), s.scaled(s.mul(g, g), 1 - beta));
    const Value x = s.sub(s.in(0, i), s.div(s.mul(rate, v), s.add(c.unary("sqrt", h), c.scalar(eps))));
    s.out(0, i, s.scaled(x, 1 - post)), s.out(1, i, v), s.out(2, i, h);
  }
}

void adagrad(NodeImport& c) {
  const Step s(c, 1);
  const Value rate = s.div(s.rate, s.add(c.scalar(1), s.scaled(s.count, c.number("decay_factor", 0))));
  for (int i = 0; i < s.n; ++i) {
    const Value g = s.gradient(i), h = s.add(s.in(2, i), s.mul(g, g));
    s.out(0, i, s.sub(s.in(0, i), s.div(s.mul(rate, g), s.add(c.unary("sqrt", h), c.scalar(c.number("epsilon", 1e-6))))));
    s.out(1, i, h);
  }
}

void momentum(NodeImport& c) {
  const Step s(c, 1);
  const double alpha = c.number("alpha", 0.9);
  const std::string mode = c.text("mode", "standard");
  const Value beta = s.if_later(c.scalar(c.number("beta", 0.1)), c.scalar(1));
  for (int i = 0; i < s.n; ++i) {
    const Value g = s.gradient(i), v = s.add(s.scaled(s.in(2, i), alpha), s.mul(beta, g));
    s.out(0, i, s.sub(s.in(0, i), s.mul(s.rate, mode == "nesterov" ? s.add(g, s.scaled(v, alpha)) : v)));
    s.out(1, i, v);
  }
}

constexpr OnnxOperator kLosses[] = {
    {"NegativeLogLikelihoodLoss", 12, nll_loss},
    {"SoftmaxCrossEntropyLoss", 12, softmax_cross_entropy},
};

constexpr OnnxOperator kTraining[] = {
    {"Adagrad", 1, adagrad, "ai.onnx.preview.training"},
    {"Adam", 1, adam, "ai.onnx.preview.training"},
    {"Momentum", 1, momentum, "ai.onnx.preview.training"},
};

}  // namespace

const std::span<const OnnxOperator> kLossOperators = kLosses, kTrainingOperators = kTraining;

}  // namespace vkfer
