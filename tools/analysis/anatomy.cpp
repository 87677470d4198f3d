#include "tools/analysis/anatomy.h"

#include <algorithm>

#include "graph/op.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

bool is_computed(const Graph& g, Value v) { return g.info(v).role == Role::computed; }

// By value id: `output` is computed from it.
std::vector<bool> ancestors(const Graph& g, Value output) {
  std::vector<bool> needed(g.values().size());
  needed[size_t(output.id)] = true;
  for (size_t n = g.nodes().size(); n-- > 0;) {
    const Node& node = g.nodes()[n];
    if (std::ranges::none_of(node.out, [&](Value v) { return needed[size_t(v.id)]; })) continue;
    for (const Value v : node.in) needed[size_t(v.id)] = true;
  }
  return needed;
}

// Does `output` depend on `images` by no way but through `v`?
bool everything_passes(const Graph& g, Value images, Value v, Value output) {
  std::vector<bool> reached(g.values().size());
  reached[size_t(images.id)] = true;
  for (const Node& node : g.nodes()) {
    const bool any = std::ranges::any_of(node.in, [&](Value in) { return reached[size_t(in.id)]; });
    for (const Value out : node.out) reached[size_t(out.id)] = any && out != v;
  }
  return !reached[size_t(output.id)];
}

bool has_filter(const Graph& g, const Node& node) {
  return std::ranges::any_of(node.in, [&](Value v) { return g.info(v).role == Role::state && g.info(v).state.layout == Layout::filter; });
}

bool is_map(const Shape& s) { return s.rank() == 4 && s.h() * s.w() > 1; }

}  // namespace

Value last_feature_map(const Graph& g, Value images, Value output) {
  const std::vector<bool> needed = ancestors(g, output);
  Shape size;   // of the last convolution's result
  for (const Node& node : g.nodes())
    if (needed[size_t(node.out[0].id)] && has_filter(g, node) && is_map(g.shape(node.out[0]))) size = g.shape(node.out[0]);
  for (size_t n = size.rank() ? g.nodes().size() : 0; n-- > 0;) {
    const Value v = g.nodes()[n].out[0];
    const Shape& s = g.shape(v);
    if (needed[size_t(v.id)] && is_map(s) && s.h() == size.h() && s.w() == size.w() && everything_passes(g, images, v, output)) return v;
  }
  fail("grad-cam", "'{}': no convolution before it makes a map of more than one pixel that everything passes through. Fix: use a network with convolutions, and a larger --size",
       g.info(output).name);
}

Value last_features(const Graph& g, Value output) {
  for (Value v = output; is_computed(g, v);) {
    const Node& node = g.nodes()[size_t(g.info(v).producer)];
    const auto from = std::ranges::find_if(node.in, [&](Value in) { return is_computed(g, in); });
    if (from == node.in.end()) break;
    const auto is_weight = [&](Value in) { return g.info(in).role == Role::state && g.shape(in).rank() == 2; };
    if (g.shape(*from).rank() == 2 && std::ranges::any_of(node.in, is_weight)) return *from;
    v = *from;
  }
  fail("features", "'{}': no linear layer before it. Fix: use a network that ends in one", g.info(output).name);
}

}  // namespace vkfer
