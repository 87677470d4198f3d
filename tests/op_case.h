#pragma once
// One case of an op as a graph: the op's node over graph inputs, then the nodes that its grad() adds, with further
// graph inputs standing for the gradients of its outputs.
#include <map>
#include <string>

#include "graph/op.h"
#include "tests/op_data.h"

namespace vkfer::test {

struct CaseGraph {
  Graph graph;
  std::vector<Value> in;
  std::vector<Value> out_grads;  // per output; invalid where grad() does not use it
  std::vector<Value> in_grads;   // per input; invalid where there is none
  std::map<int, Fill> fills;     // by value id: what the graph's inputs hold
};

const Fill& fill_of(const Case&, size_t input);
// May grad() be asked for this input?
bool is_differentiable_input(const Case&, size_t input);

CaseGraph build_case(const OpDef&, const Case&);

struct HalfCase {
  std::string words;  // "f16=0+2": the inputs in 16-bit storage
  Case test_case;
};
// The case in every choice of 16-bit inputs that the op accepts. Vectors (rank 1: per channel, per step) stay f32.
std::vector<HalfCase> half_cases(const OpDef&, const Case&);

// Values of every input; an impulse goes into the value `impulse` only, the others are real.
std::map<int, HostTensor> fill_case(const CaseGraph&, FillMode, std::string_view seed, int impulse = -1);

// Rows print themselves as words; VKFER_ROW="word word..." runs only the rows that have every word.
bool row_selected(std::string_view row);
bool row_filter_set();

}  // namespace vkfer::test
