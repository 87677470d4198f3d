#include "tests/op_gradient.h"

#include <cmath>
#include <optional>

#include "graph/reference.h"
#include "runtime/error.h"
#include "tests/op_case.h"

namespace vkfer::test {

namespace {

constexpr double kTolerance = 1e-6;  // of the gradient's norm; directions have norm 1

struct Problem {
  const OpDef& op;
  const Case& test_case;
  std::vector<HostTensor> in;
  std::vector<std::optional<HostTensor>> out_grads;  // none: the gradient does not use this output
  std::vector<Shape> out_shapes;
};

std::vector<HostTensor> evaluate(const Problem& p, const std::vector<HostTensor>& in) {
  std::vector<HostTensor> out(p.out_shapes.begin(), p.out_shapes.end());
  p.op.reference(p.test_case.attrs, in, out);
  return out;
}

// d sum(out_grad * out) / d in[input] along the direction. The outputs are subtracted before they are summed: exacter.
double difference(const Problem& p, size_t input, const HostTensor& direction, double step) {
  std::vector<HostTensor> in = p.in;
  for (size_t i = 0; i < direction.data.size(); ++i) in[input][i] = p.in[input][i] + step * direction[i];
  const std::vector<HostTensor> above = evaluate(p, in);
  for (size_t i = 0; i < direction.data.size(); ++i) in[input][i] = p.in[input][i] - step * direction[i];
  const std::vector<HostTensor> below = evaluate(p, in);
  double sum = 0;
  for (size_t o = 0; o < p.out_grads.size(); ++o)
    if (p.out_grads[o])
      for (size_t i = 0; i < above[o].data.size(); ++i) sum += (*p.out_grads[o])[i] * (above[o][i] - below[o][i]);
  return sum / (2 * step);
}

// None where the function has a kink (relu, a tie of max pooling) within the step: there the differences with the whole
// and with half the step disagree, while for a smooth function they agree to the square of the step.
std::optional<double> slope(const Problem& p, size_t input, const HostTensor& direction, double allowed) {
  for (double step : {1e-4, 1e-5}) {
    const double whole = difference(p, input, direction, step), half = difference(p, input, direction, step / 2);
    if (std::abs(whole - half) <= allowed) return (4 * half - whole) / 3;  // Richardson
  }
  return std::nullopt;
}

std::vector<HostTensor> directions(const Problem& p, size_t input, double flops, Numbers& numbers) {
  const Shape& shape = p.in[input].shape;
  const int64_t elements = shape.elements();
  const int64_t affordable = std::max<int64_t>(6, std::min<int64_t>(64, int64_t(1e8 / std::max(flops, 1.0))));
  std::vector<HostTensor> result;
  for (int64_t i = 0; i < std::min(elements, affordable); ++i) {
    HostTensor one(shape);
    one[elements <= affordable ? size_t(i) : size_t(numbers.bits() % uint64_t(elements))] = 1;
    result.push_back(std::move(one));
  }
  for (int i = 0; i < 3; ++i) {
    HostTensor dense(shape);
    for (double& x : dense.data) x = numbers.uniform(-1, 1);
    const double length = norm(dense);
    for (double& x : dense.data) x /= length;
    result.push_back(std::move(dense));
  }
  return result;
}

std::string check_input(const Problem& p, size_t input, const HostTensor& gradient, double flops, Numbers& numbers) {
  double out_norm = 0;
  for (const auto& g : p.out_grads)
    if (g) out_norm += norm(*g);
  const double allowed = kTolerance * norm(gradient) + 1e-9 * out_norm;
  size_t smooth = 0;
  const std::vector<HostTensor> probes = directions(p, input, flops, numbers);
  for (size_t k = 0; k < probes.size(); ++k) {
    double expected = 0;
    for (size_t i = 0; i < gradient.data.size(); ++i) expected += gradient[i] * probes[k][i];
    const std::optional<double> measured = slope(p, input, probes[k], allowed);
    if (!measured) continue;
    ++smooth;
    if (!(std::abs(*measured - expected) <= allowed))
      return fmt::format(
          "input {}, probe {} of {}: gradient {:.12g}, finite difference {:.12g}, allowed difference {:.3g}", input, k,
          probes.size(), expected, *measured, allowed);
  }
  if (smooth * 2 < probes.size())
    return fmt::format("input {}: only {} of {} probes were away from kinks", input, smooth, probes.size());
  return "";
}

Problem problem_of(const OpDef& op, const Case& c, const CaseGraph& g, const std::map<int, HostTensor>& given) {
  Problem p{op, c, {}, {}, {}};
  for (Value v : g.in) p.in.push_back(given.at(v.id));
  for (Value v : g.out_grads) p.out_grads.push_back(v ? std::optional(given.at(v.id)) : std::nullopt);
  for (Value v : g.graph.nodes()[0].out) p.out_shapes.push_back(g.graph.shape(v));
  return p;
}

}  // namespace

std::string check_gradient(const OpDef& op, const Case& c, std::string_view seed) {
  bool differentiable = false;  // a row may fix every input, for the kernel's sake
  for (size_t i = 0; i < c.in.size(); ++i) differentiable = differentiable || is_differentiable_input(c, i);
  if (!differentiable) return "";
  const CaseGraph g = build_case(op, c);
  const std::map<int, HostTensor> given = fill_case(g, FillMode::real, seed);
  const std::map<int, HostTensor> values = run_reference(g.graph, given);
  const Problem p = problem_of(op, c, g, given);
  if (!p.out_grads[0]) return "the gradient does not use that of output 0";
  const Node& node = g.graph.nodes()[0];
  std::vector<TensorDesc> out;
  for (Value v : node.out) out.push_back(g.graph.desc(v));
  const double flops = op.cost ? op.cost(c.attrs, c.in, out).flops : double(c.in[0].elements());
  for (size_t i = 0; i < g.in.size(); ++i) {
    if (!is_differentiable_input(c, i)) continue;
    Numbers numbers(fmt::format("{} directions {}", seed, i));
    const HostTensor gradient = g.in_grads[i] ? values.at(g.in_grads[i].id) : HostTensor(c.in[i].shape);
    if (gradient.shape != c.in[i].shape)
      return fmt::format("input {}: its gradient has shape {}, expected {}", i, gradient.shape.to_string(),
                         c.in[i].shape.to_string());
    if (std::string wrong = check_input(p, i, gradient, flops, numbers); !wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace vkfer::test
