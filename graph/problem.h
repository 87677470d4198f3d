#pragma once
// What a node computes, without its place in a graph: op, attributes and input descriptors. Two nodes with the same problem
// are lowered alike, so a problem is what is measured alone and what tuning remembers.
#include <string>
#include <vector>

#include "graph/op.h"

namespace vkfer {

struct Problem {
  const OpDef* op = nullptr;
  Attrs attrs;
  std::vector<TensorDesc> in;
  std::string key() const;         // "conv2d stride=2,2 | 8x48x48x3 f32 | 3x3x3x32 f32"
};

Problem problem_of(const Graph&, const Node&);

// The node alone: its inputs are the graph's inputs, and every output stays readable. With exactly one node, nodes()[0].
Graph lone_graph(const Problem&);

struct CountedProblem {
  Problem problem;
  std::string label;               // of the first node that has it
  int count = 0;
};
// The different problems of the graph's nodes, in order of first appearance.
std::vector<CountedProblem> problems_of(const Graph&);

}  // namespace vkfer
