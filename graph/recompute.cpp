// Less memory for more time: what is cheap to compute again is not kept for the backward pass (Chen et al., Training Deep Nets with
// Sublinear Memory Cost, 2016, where only what is cheap is dropped).
//
//   x ─ batch_norm ─► y ─ conv2d ─►  ...  ─► conv2d_grad_filter(y, dz)        x is kept for batch_norm's own gradient, so
//   x ─ batch_norm ─► y ─ conv2d ─►  ...  x ─ batch_norm_apply ─► y' ─► conv2d_grad_filter(y', dz)
#include <algorithm>
#include <map>

#include "graph/op.h"

namespace vkfer {
namespace {

// Small values are not worth a launch.
constexpr size_t kLeastBytes = 16 << 10;
// A result that is computed again for another one stays until its own use: at most so many nodes.
constexpr int kNear = 8;

class Recomputation {
 public:
  Recomputation(Graph& g, size_t forward_nodes) : g_(g), forward_(int(forward_nodes)), nodes_(int(g.nodes().size())), uses_(g.values().size()) {
    for (int n = 0; n < nodes_; ++n)
      for (Value v : g.nodes()[size_t(n)].in) uses_[size_t(v.id)].push_back(n);
  }

  int run() {
    for (int n = 0; n < forward_; ++n) {
      const Node node = g_.nodes()[size_t(n)];
      if (!node.op->again) continue;
      for (size_t i = 0; i < node.out.size(); ++i) consider(node, int(i));
    }
    if (g_.nodes().size() > size_t(nodes_)) rebuild();
    return int(repeats_.size());
  }

 private:
  struct Repeat {
    int value = -1, copy = -1;
    int at = 0;                    // the node before which it is computed again
    std::vector<Node> nodes;
  };

  // The first node of the backward pass that reads it; -1: none does.
  int first_use_backward(Value v) const {
    const auto& uses = uses_[size_t(v.id)];
    const auto it = std::lower_bound(uses.begin(), uses.end(), forward_);
    return it == uses.end() ? -1 : *it;
  }

  // Is v in memory at node `at` of the backward pass, whether or not we ask for it?
  bool kept_until(Value v, int at) const {
    if (g_.info(v).role != Role::computed || g_.info(v).output) return true;
    if (g_.desc(v).bytes() < kLeastBytes) return true;
    return uses_[size_t(v.id)].size() && uses_[size_t(v.id)].back() >= at;
  }

  void consider(const Node& node, int output) {
    const Value v = node.out[size_t(output)];
    const int at = first_use_backward(v);
    if (at < 0 || g_.info(v).output || g_.desc(v).bytes() < kLeastBytes || is_update(v)) return;
    const size_t before = g_.nodes().size();
    const Value copy = node.op->again(g_, node, output);
    if (!copy) return;
    Repeat repeat{v.id, copy.id, at, {g_.nodes().begin() + ptrdiff_t(before), g_.nodes().end()}};
    std::vector<Repeat*> earlier;  // what must be computed again sooner for this
    for (const Node& n : repeat.nodes)
      for (Value in : n.in) {
        if (produced_by(repeat, in)) continue;
        const auto dropped = repeats_.find(in.id);
        if (dropped == repeats_.end() ? !kept_until(in, at) : dropped->second.at > at + kNear) return;
        if (dropped != repeats_.end()) earlier.push_back(&dropped->second);
      }
    for (Repeat* r : earlier) bring_forward(*r, at);
    repeats_[v.id] = std::move(repeat);
  }

  void bring_forward(Repeat& r, int at) {
    if (r.at <= at) return;
    r.at = at;
    for (const Node& n : r.nodes)
      for (Value in : n.in)
        if (const auto it = repeats_.find(in.id); it != repeats_.end()) bring_forward(it->second, at);
  }

  bool is_update(Value v) const {
    return std::any_of(g_.updates().begin(), g_.updates().end(), [&](const Update& u) { return u.value == v; });
  }

  static bool produced_by(const Repeat& r, Value v) {
    return std::any_of(r.nodes.begin(), r.nodes.end(), [&](const Node& n) { return std::count(n.out.begin(), n.out.end(), v) != 0; });
  }

  void rebuild() {
    std::multimap<int, const Repeat*> due;  // values in order of creation, so that what another needs comes first
    for (const auto& [value, repeat] : repeats_) due.emplace(repeat.at, &repeat);
    std::map<int, Value> copies;            // that are there by now, by the value they stand for
    const auto place = [&](Node node, std::vector<Node>& to) {
      for (Value& in : node.in)
        if (const auto it = copies.find(in.id); it != copies.end()) in = it->second;
      to.push_back(std::move(node));
    };
    std::vector<Node> nodes;
    for (int n = 0; n < nodes_; ++n) {
      for (auto [it, end] = due.equal_range(n); it != end; ++it) {
        for (const Node& node : it->second->nodes) place(node, nodes);
        copies[it->second->value] = {it->second->copy};
      }
      place(g_.nodes()[size_t(n)], nodes);
    }
    g_.replace_nodes(std::move(nodes));
  }

  Graph& g_;
  const int forward_, nodes_;
  std::vector<std::vector<int>> uses_;  // by value id: the nodes that read it, in order
  std::map<int, Repeat> repeats_;       // by value id
};

}  // namespace

int recompute(Graph& g, size_t forward_nodes) { return Recomputation(g, forward_nodes).run(); }

}  // namespace vkfer
