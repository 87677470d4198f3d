#include "graph/problem.h"

#include <map>

#include "runtime/error.h"

namespace vkfer {

std::string Problem::key() const {
  std::string text(op->name);
  if (const std::string a = attrs.to_string(); !a.empty()) text += " " + a;
  for (const TensorDesc& t : in) text += " | " + t.to_string();
  return text;
}

Problem problem_of(const Graph& g, const Node& node) {
  Problem p{node.op, node.attrs, {}};
  for (const Value v : node.in) p.in.push_back(g.desc(v));
  return p;
}

Graph lone_graph(const Problem& p) {
  Graph g;
  std::vector<Value> in;
  for (size_t i = 0; i < p.in.size(); ++i) in.push_back(g.input(fmt::format("in{}", i), p.in[i]));
  for (const Value v : g.add(*p.op, p.attrs, in, "node")) g.output(v);
  return g;
}

std::vector<CountedProblem> problems_of(const Graph& g) {
  std::vector<CountedProblem> all;
  std::map<std::string, size_t> index;
  for (const Node& node : g.nodes()) {
    Problem p = problem_of(g, node);
    const auto [it, fresh] = index.try_emplace(p.key(), all.size());
    if (fresh) all.push_back({std::move(p), node.label, 0});
    ++all[it->second].count;
  }
  return all;
}

}  // namespace vkfer
