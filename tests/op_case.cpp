#include "tests/op_case.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "runtime/error.h"

namespace vkfer::test {

const Fill& fill_of(const Case& c, size_t input) {
  static const Fill real = Fill::real();
  if (c.fill.empty()) return real;
  if (c.fill.size() != c.in.size())
    fail("op test", "a case has {} fills for {} inputs. Fix: give a fill for every input, or none", c.fill.size(),
         c.in.size());
  return c.fill[input];
}

bool is_differentiable_input(const Case& c, size_t input) {
  return is_float(c.in[input].dtype) && fill_of(c, input).kind == Fill::Kind::real;
}

namespace {

CaseGraph forward_graph(const OpDef& op, const Case& c) {
  CaseGraph g;
  for (size_t i = 0; i < c.in.size(); ++i) {
    g.in.push_back(g.graph.input(fmt::format("in{}", i), c.in[i]));
    g.fills[g.in.back().id] = fill_of(c, i);
  }
  g.graph.add(op, c.attrs, g.in, "row");
  return g;
}

// Read by a node, or passed on as it is, as the gradient of a sum is.
bool is_used(const CaseGraph& g, Value v) {
  for (const Node& node : g.graph.nodes())
    for (Value in : node.in)
      if (in == v) return true;
  for (Value in_grad : g.in_grads)
    if (in_grad == v) return true;
  return false;
}

// Adds the gradient nodes given the gradients of the first `outputs` outputs.
CaseGraph with_gradient(const OpDef& op, const Case& c, size_t outputs) {
  CaseGraph g = forward_graph(op, c);
  const std::vector<Value> out = g.graph.nodes()[0].out;
  g.out_grads.resize(out.size());
  for (size_t i = 0; i < outputs; ++i) {
    if (!is_float(g.graph.desc(out[i]).dtype)) continue;
    g.out_grads[i] = g.graph.input(fmt::format("out_grad{}", i), g.graph.desc(out[i]));
    g.fills[g.out_grads[i].id] = Fill::real();
  }
  std::vector<bool> wanted;
  for (size_t i = 0; i < c.in.size(); ++i) wanted.push_back(is_differentiable_input(c, i));
  Gradient gradient(g.graph, 0, g.out_grads, wanted);
  op.grad(gradient);
  g.in_grads = gradient.result;
  for (Value& v : g.out_grads)
    if (v && !is_used(g, v)) v = Value{};
  return g;
}

}  // namespace

CaseGraph build_case(const OpDef& op, const Case& c) {
  if (!op.grad) return forward_graph(op, c);
  const size_t outputs = forward_graph(op, c).graph.nodes()[0].out.size();
  try {
    return with_gradient(op, c, outputs);
  } catch (const Error&) {  // secondary outputs may refuse a gradient; the first may not
    if (outputs == 1) throw;
    return with_gradient(op, c, 1);
  }
}

std::vector<HalfCase> half_cases(const OpDef& op, const Case& c) {
  std::vector<size_t> tensors;
  for (size_t i = 0; i < c.in.size(); ++i)
    if (c.in[i].dtype == DType::f32 && c.in[i].shape.rank() >= 2) tensors.push_back(i);
  std::vector<HalfCase> accepted;
  for (size_t choice = 1; choice < size_t(1) << tensors.size(); ++choice) {
    HalfCase half{"f16=", c};
    for (size_t k = 0; k < tensors.size(); ++k) {
      if (!(choice >> k & 1)) continue;
      half.test_case.in[tensors[k]].dtype = DType::f16;
      half.words += fmt::format("{}{}", half.words.back() == '=' ? "" : "+", tensors[k]);
    }
    try {
      build_case(op, half.test_case);
      accepted.push_back(std::move(half));
    } catch (const Error&) {  // not a mixture that the op takes
    }
  }
  return accepted;
}

std::map<int, HostTensor> fill_case(const CaseGraph& g, FillMode mode, std::string_view seed, int impulse) {
  std::map<int, HostTensor> values;
  for (const auto& [id, fill] : g.fills) {
    Numbers numbers(fmt::format("{} {}", seed, id));
    const FillMode own = mode == FillMode::impulse && id != impulse ? FillMode::real : mode;
    const TensorDesc& desc = g.graph.desc(Value{id});
    values[id] = rounded(desc.dtype, filled(desc, fill, own, numbers));
  }
  return values;
}

bool row_filter_set() {
  const char* filter = std::getenv("VKFER_ROW");
  return filter && *filter;
}

bool row_selected(std::string_view row) {
  if (!row_filter_set()) return true;
  const std::string words = fmt::format(" {} ", row);
  std::istringstream filter(std::getenv("VKFER_ROW"));
  for (std::string word; filter >> word;)
    if (words.find(" " + word + " ") == std::string::npos) return false;
  return true;
}

}  // namespace vkfer::test
