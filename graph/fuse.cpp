// Rewrites that turn several nodes into one. Every rule looks at a node, the tail, and at the node that produces its input;
// it applies when nothing else uses what lies between. The fused node stands where the tail stood, so all its inputs are ready.
//
//   add          batch_norm -> y, add(y, r)            =>  batch_norm{residual}(..., r)            (conv2d too, for inference)
//   activation   batch_norm -> y, relu(y)              =>  batch_norm{activation = relu}           (conv2d and linear too, for inference)
//   fold         conv2d -> y, batch_norm_eval(y, ...)  =>  fold_filter, fold_bias, conv2d{bias}    (inference)
//
// In a training graph, what no trainable state reaches is fused as for inference: the layers of a frozen backbone.
#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "graph/op.h"
#include "graph/ops/ops.h"

namespace vkfer {
namespace {

class Rewriter {
 public:
  Rewriter(Graph& g, bool inference) : g_(g), inference_(inference) {}

  void run() {
    while (step()) {
    }
  }

 private:
  // Applies the first rule that fits anywhere; false when none does.
  bool step() {
    uses_.assign(g_.values().size(), 0);
    for (const Node& n : g_.nodes())
      for (Value v : n.in) ++uses_[size_t(v.id)];
    for (size_t v = 0; v < uses_.size(); ++v) uses_[v] += g_.values()[v].output;
    for (const Update& u : g_.updates()) ++uses_[size_t(u.value.id)];
    mark_trained();
    for (size_t i = 0; i < g_.nodes().size(); ++i)
      if (add(int(i)) || activation(int(i)) || fold(int(i))) return true;
    return false;
  }

  // trained_[v]: a gradient passes through v.
  void mark_trained() {
    trained_.assign(g_.values().size(), false);
    for (size_t v = 0; v < trained_.size(); ++v) trained_[v] = g_.values()[v].role == Role::state && g_.values()[v].state.trainable;
    for (const Node& n : g_.nodes()) {
      const bool any = std::any_of(n.in.begin(), n.in.end(), [&](Value v) { return trained_[size_t(v.id)]; });
      for (Value v : n.out) trained_[size_t(v.id)] = any;
    }
  }
  bool only_forward(const Node& n) const { return inference_ || !trained_[size_t(n.out[0].id)]; }

  // The node behind `v` when this is its first output and nobody else reads it.
  std::optional<int> sole_producer(Value v) const {
    const ValueInfo& info = g_.info(v);
    if (info.role != Role::computed || info.producer_output != 0 || uses_[size_t(v.id)] != 1) return {};
    return info.producer;
  }

  bool plain(const Node& n) const { return n.attrs.text("activation", "none") == "none" && !n.attrs.integer("residual", 0); }
  static bool is_norm(const Node& n) { return n.op == &ops::batch_norm || n.op == &ops::batch_norm_eval; }

  void replace(int tail, int producer, std::vector<Node> fused) {
    std::vector<Node> nodes;
    for (int i = 0; i < int(g_.nodes().size()); ++i) {
      if (i == tail) nodes.insert(nodes.end(), fused.begin(), fused.end());
      else if (i != producer) nodes.push_back(g_.nodes()[size_t(i)]);
    }
    g_.replace_nodes(std::move(nodes));
  }

  bool add(int i) {
    const Node& tail = g_.nodes()[size_t(i)];
    if (tail.op != &ops::add) return false;
    // The later of the two operands absorbs the other, which is ready by then.
    const bool second = g_.info(tail.in[1]).producer > g_.info(tail.in[0]).producer;
    const std::optional<int> p = sole_producer(tail.in[second]);
    if (!p || tail.in[0] == tail.in[1]) return false;
    Node fused = g_.nodes()[size_t(*p)];
    if (!(is_norm(fused) || (only_forward(tail) && fused.op == &ops::conv2d)) || !plain(fused)) return false;
    if (!(g_.desc(tail.in[0]) == g_.desc(tail.in[1]))) return false;
    fused.attrs.set("residual", 1);
    fused.in.push_back(tail.in[!second]);
    fused.out[0] = tail.out[0];
    replace(i, *p, {fused});
    return true;
  }

  bool activation(int i) {
    static constexpr std::array functions{&ops::relu, &ops::relu6, &ops::silu, &ops::sigmoid, &ops::hardswish};
    const Node& tail = g_.nodes()[size_t(i)];
    if (std::find(functions.begin(), functions.end(), tail.op) == functions.end()) return false;
    const std::optional<int> p = sole_producer(tail.in[0]);
    if (!p) return false;
    Node fused = g_.nodes()[size_t(*p)];
    const bool takes = is_norm(fused) || (only_forward(tail) && (fused.op == &ops::conv2d || fused.op == &ops::linear));
    if (!takes || fused.attrs.text("activation", "none") != "none") return false;
    fused.attrs.set("activation", std::string(tail.op->name));
    fused.out[0] = tail.out[0];
    replace(i, *p, {fused});
    return true;
  }

  bool fold(int i) {
    const Node norm = g_.nodes()[size_t(i)];
    if (norm.op != &ops::batch_norm_eval || !only_forward(norm)) return false;
    const std::optional<int> p = sole_producer(norm.in[0]);
    if (!p) return false;
    Node conv = g_.nodes()[size_t(*p)];
    if (conv.op != &ops::conv2d || !plain(conv)) return false;
    const Value gamma = norm.in[1], beta = norm.in[2], mean = norm.in[3], variance = norm.in[4];
    const double eps = norm.attrs.number("eps", 1e-5);
    const bool bias = conv.attrs.integer("bias", 0) != 0;

    Node filter{&ops::fold_filter, {{"eps", eps}}, {conv.in[1], gamma, variance}, {}, conv.label + "/fold_filter"};
    filter.out = {g_.new_value(g_.desc(conv.in[1]), filter.label)};
    Node offset{&ops::fold_bias, {{"eps", eps}, {"bias", bias}}, {gamma, beta, mean, variance}, {}, conv.label + "/fold_bias"};
    if (bias) offset.in.push_back(conv.in[2]);
    offset.out = {g_.new_value(g_.desc(beta), offset.label)};

    conv.in = {conv.in[0], filter.out[0], offset.out[0]};
    conv.attrs.set("bias", 1);
    if (norm.attrs.integer("residual", 0)) conv.attrs.set("residual", 1), conv.in.push_back(norm.in[5]);
    conv.attrs.set("activation", norm.attrs.text("activation", "none"));
    conv.out[0] = norm.out[0];
    replace(i, *p, {filter, offset, conv});
    return true;
  }

  Graph& g_;
  const bool inference_;
  std::vector<int> uses_;
  std::vector<bool> trained_;
};

}  // namespace

void fuse_for_training(Graph& g) { Rewriter(g, false).run(); }
void fuse_for_inference(Graph& g) { Rewriter(g, true).run(); }

}  // namespace vkfer
