#include "graph/graph.h"

#include <algorithm>
#include <set>

#include "graph/op.h"
#include "runtime/error.h"

namespace vkfer {

Value Graph::input(std::string name, TensorDesc desc) {
  if (find(name)) fail("graph", "input '{}' exists already. Fix: give every input a name of its own", name);
  ValueInfo v;
  v.name = std::move(name);
  v.desc = desc;
  v.role = Role::input;
  values_.push_back(std::move(v));
  return {int(values_.size()) - 1};
}

Value Graph::state(std::string name, TensorDesc desc, StateInfo info) {
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].role != Role::state || values_[i].name != name) continue;
    if (!(values_[i].desc == desc))
      fail("graph", "state '{}' is used with two shapes: got {}, expected {}", name, desc.to_string(), values_[i].desc.to_string());
    return {int(i)};
  }
  ValueInfo v;
  v.name = std::move(name);
  v.desc = desc;
  v.role = Role::state;
  v.state = std::move(info);
  values_.push_back(std::move(v));
  return {int(values_.size()) - 1};
}

std::string Graph::unique_label(const std::string& wanted) const {
  auto taken = [&](const std::string& s) {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.label == s; });
  };
  if (!taken(wanted)) return wanted;
  for (int i = 2;; ++i) {
    std::string candidate = wanted + "#" + std::to_string(i);
    if (!taken(candidate)) return candidate;
  }
}

Value Graph::new_value(TensorDesc desc, std::string name) {
  ValueInfo v;
  v.name = std::move(name);
  v.desc = desc;
  values_.push_back(std::move(v));
  return {int(values_.size()) - 1};
}

std::vector<Value> Graph::add(const OpDef& op, Attrs attrs, std::vector<Value> in, std::string label) {
  label = unique_label(label);
  std::vector<TensorDesc> descs;
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i].id < 0 || size_t(in[i].id) >= values_.size())
      fail(op.name, "'{}': input {} is not a value of this graph. Fix: pass values this graph returned", label, i);
    descs.push_back(desc(in[i]));
  }
  const std::vector<TensorDesc> out_descs = op.shape(attrs, descs, label);
  Node node{&op, std::move(attrs), std::move(in), {}, label};
  for (size_t i = 0; i < out_descs.size(); ++i) {
    Value v = new_value(out_descs[i], i ? label + ":" + std::to_string(i) : label);
    values_.back().producer = int(nodes_.size());
    values_.back().producer_output = int(i);
    node.out.push_back(v);
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().out;
}

void Graph::output(Value v, std::string name) {
  ValueInfo& info = values_[size_t(v.id)];
  info.output = true;
  if (!name.empty() && info.role == Role::computed) info.name = std::move(name);
}

void Graph::update(Value state, Value value) {
  const ValueInfo &s = info(state), &v = info(value);
  if (s.role != Role::state || v.role != Role::computed || !(s.desc == v.desc))
    fail("graph", "update of '{}' by '{}': got {}, expected a computed {}", s.name, v.name, v.desc.to_string(), s.desc.to_string());
  const Node& node = nodes_[size_t(v.producer)];
  bool allowed = false;
  for (auto [out, in] : in_place_of(node)) allowed |= out == v.producer_output && node.in[size_t(in)] == state;
  if (!allowed) fail("graph", "'{}' cannot write over the state '{}': {} does not declare it in place", node.label, s.name, node.op->name);
  updates_.push_back({state, value});
}

std::vector<Value> Graph::states() const {
  std::vector<Value> all;
  for (size_t i = 0; i < values_.size(); ++i)
    if (values_[i].role == Role::state) all.push_back({int(i)});
  return all;
}

Value Graph::find(std::string_view name) const {
  for (size_t i = 0; i < values_.size(); ++i)
    if (values_[i].name == name) return {int(i)};
  return {};
}

void Graph::replace_nodes(std::vector<Node> nodes) {
  nodes_ = std::move(nodes);
  for (ValueInfo& v : values_)
    if (v.role == Role::computed) v.producer = -1;
  std::set<int> ready;
  for (size_t i = 0; i < values_.size(); ++i)
    if (values_[i].role != Role::computed) ready.insert(int(i));
  for (size_t n = 0; n < nodes_.size(); ++n) {
    for (Value v : nodes_[n].in)
      if (!ready.count(v.id)) fail("graph", "'{}' reads '{}' before it is computed", nodes_[n].label, info(v).name);
    for (size_t i = 0; i < nodes_[n].out.size(); ++i) {
      ValueInfo& v = values_[size_t(nodes_[n].out[i].id)];
      if (!ready.insert(nodes_[n].out[i].id).second) fail("graph", "'{}' is written twice, by '{}'", v.name, nodes_[n].label);
      v.producer = int(n);
      v.producer_output = int(i);
    }
  }
}

std::string Graph::to_string() const {
  std::string s;
  for (const Node& n : nodes_) {
    std::string in, out;
    for (Value v : n.in) in += (in.empty() ? "" : ", ") + info(v).name + " " + desc(v).shape.to_string();
    for (Value v : n.out) out += (out.empty() ? "" : ", ") + desc(v).to_string();
    s += fmt::format("{} = {}({}) {} -> {}\n", n.label, n.op->name, in, n.attrs.to_string(), out);
  }
  return s;
}

}  // namespace vkfer
