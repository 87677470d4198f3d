// Reverse-mode differentiation by graph extension: the gradient of an op is ordinary nodes (its OpDef::grad).
#include "graph/op.h"
#include "graph/ops/ops.h"
#include "runtime/error.h"

namespace vkfer {

std::vector<Value> Gradient::add(const OpDef& op, Attrs attrs, std::vector<Value> in, std::string_view suffix) {
  return graph.add(op, std::move(attrs), std::move(in), node_.label + "/" + std::string(suffix));
}

namespace {

bool is_real(const Graph& g, Value v) { return g.desc(v).dtype == DType::f32 || g.desc(v).dtype == DType::f16; }

// wanted[v]: v is in `wrt` or computed from something that is. Integers, as the index of the largest element, pass no gradient on.
std::vector<bool> mark_wanted(const Graph& g, std::span<const Value> wrt) {
  std::vector<bool> wanted(g.values().size());
  for (Value v : wrt) wanted[size_t(v.id)] = true;
  for (const Node& n : g.nodes()) {
    bool any = false;
    for (Value v : n.in) any = any || wanted[size_t(v.id)];
    for (Value v : n.out) wanted[size_t(v.id)] = wanted[size_t(v.id)] || (any && is_real(g, v));
  }
  return wanted;
}

void accumulate(Graph& g, Value& total, Value part, const std::string& label) {
  total = total ? g.add1(ops::add, {}, {total, part}, label + "/sum") : part;
}

}  // namespace

std::vector<Value> differentiate(Graph& g, Value loss, std::span<const Value> wrt) {
  if (g.desc(loss).elements() != 1)
    fail("differentiate", "'{}' is no loss: got {}, expected one element", g.info(loss).name, g.shape(loss).to_string());
  const std::vector<bool> wanted = mark_wanted(g, wrt);
  const int forward_nodes = int(g.nodes().size());
  std::vector<Value> grads(g.values().size());
  // d loss / d loss = 1 is a state initialised to one: mixed precision writes its loss scale there.
  if (wanted[size_t(loss.id)]) grads[size_t(loss.id)] = g.state("loss_scale", g.desc(loss), {.init = "ones"});

  for (int n = forward_nodes - 1; n >= 0; --n) {
    const Node node = g.nodes()[size_t(n)];
    std::vector<Value> out_grads;
    bool any = false;
    for (Value v : node.out) {
      out_grads.push_back(grads[size_t(v.id)]);
      any = any || out_grads.back();
    }
    std::vector<bool> inputs_wanted;
    bool any_wanted = false;
    for (Value v : node.in) {
      inputs_wanted.push_back(wanted[size_t(v.id)]);
      any_wanted = any_wanted || inputs_wanted.back();
    }
    if (!any || !any_wanted) continue;
    if (!node.op->grad) fail("differentiate", "'{}': {} has no gradient. Fix: differentiate before fuse_for_inference", node.label, node.op->name);
    Gradient gradient(g, n, out_grads, inputs_wanted);
    node.op->grad(gradient);
    for (size_t i = 0; i < node.in.size(); ++i) {
      if (!inputs_wanted[i] || !gradient.result[i]) continue;
      if (g.shape(gradient.result[i]) != g.shape(node.in[i]))
        fail("differentiate", "'{}': gradient of input {}: got {}, expected {}", node.label, i, g.shape(gradient.result[i]).to_string(),
             g.shape(node.in[i]).to_string());
      accumulate(g, grads[size_t(node.in[i].id)], gradient.result[i], node.label);
    }
  }
  std::vector<Value> result;
  for (Value v : wrt) result.push_back(grads[size_t(v.id)]);
  return result;
}

}  // namespace vkfer
