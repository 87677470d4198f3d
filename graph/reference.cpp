#include "graph/reference.h"

#include "runtime/error.h"

namespace vkfer {

namespace {

// The inputs of a node, copied side by side as OpDef::reference takes them.
std::vector<HostTensor> gather_inputs(const Graph& graph, const Node& node, const std::map<int, HostTensor>& values) {
  std::vector<HostTensor> in;
  for (Value v : node.in) {
    auto found = values.find(v.id);
    if (found == values.end())
      fail("reference", "'{}': input '{}' has no value. Fix: give every input and state that the graph reads", node.label,
           graph.info(v).name);
    in.push_back(found->second);
  }
  return in;
}

void check_given(const Graph& graph, const std::map<int, HostTensor>& given) {
  for (const auto& [id, tensor] : given) {
    if (id < 0 || size_t(id) >= graph.values().size())
      fail("reference", "value {} is not of this graph. Fix: give values by the ids of the graph that is run", id);
    const ValueInfo& info = graph.info(Value{id});
    if (tensor.shape != info.desc.shape || int64_t(tensor.data.size()) != info.desc.elements())
      fail("reference", "'{}': got {} ({} elements), expected {}. Fix: give a tensor of the value's shape", info.name,
           tensor.shape.to_string(), tensor.data.size(), info.desc.shape.to_string());
  }
}

}  // namespace

std::map<int, HostTensor> run_reference(const Graph& graph, std::map<int, HostTensor> given) {
  check_given(graph, given);
  std::map<int, HostTensor> values = std::move(given);
  for (const Node& node : graph.nodes()) {
    std::vector<HostTensor> in = gather_inputs(graph, node, values);
    std::vector<HostTensor> out;
    for (Value v : node.out) out.emplace_back(graph.shape(v));
    node.op->reference(node.attrs, in, out);
    for (size_t i = 0; i < node.out.size(); ++i) values[node.out[i].id] = std::move(out[i]);
  }
  return values;
}

}  // namespace vkfer
