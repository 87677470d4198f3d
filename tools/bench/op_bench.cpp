#include "tools/bench/op_bench.h"

#include <algorithm>
#include <charconv>

#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "tools/data/csv.h"

namespace vkfer {
namespace {

// "8x48x48" with as many numbers as asked for.
std::vector<int64_t> numbers(std::string_view option, const std::string& whole, std::string_view text, size_t count, std::string_view form) {
  std::vector<int64_t> all;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || value < 1 || value > 1 << 20) break;
    all.push_back(value);
    at = next;
    if (at == end || *at != 'x') break;
    ++at;
  }
  if (at != end || all.size() != count) fail(option, "got '{}', expected {} with numbers from 1 to {}", whole, form, 1 << 20);
  return all;
}

void check_small(std::string_view option, const std::string& text, const Shape& s) {
  double elements = 1;
  for (int i = 0; i < s.rank(); ++i) elements *= double(s[i]);
  if (elements > 1e9) fail(option, "got '{}': a tensor {} has more than a thousand million numbers", text, s.to_string());
}

// The node over inputs of these shapes, then the nodes of its gradients.
std::vector<CountedProblem> with_gradients(const OpDef& op, const Attrs& attrs, const Shape& x, const Shape& weights, const std::string& label) {
  Graph g;
  const Value y = g.add1(op, attrs, {g.input("x", {x}), g.input("weights", {weights})}, label);
  Gradient gradient(g, 0, {g.input("dy", g.desc(y))}, {true, true});
  op.grad(gradient);
  return problems_of(g);
}

}  // namespace

OpBench bench_problem(Device& device, const CountedProblem& what, const Target& target, const BenchOptions& options) {
  OpBench b{what};
  try {
    LoneNode node(device, what.problem, target);
    node.fill();
    for (int i = 0; i < std::max(options.warmup, 1); ++i) node.run();
    b.milliseconds = spread_of(node.time(std::max(options.repeats, 1)));
    b.by_timestamps = node.by_timestamps();
    b.cost = node.planned().lowered.cost;
    for (const Dispatch& d : node.planned().lowered.dispatches)
      if (b.kernels.find(d.module) == std::string::npos) b.kernels += (b.kernels.empty() ? "" : " ") + d.module;
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::device) throw;
    b.failure = e.what();
  }
  return b;
}

std::vector<CountedProblem> gemm_problems(const std::string& shape) {
  const auto n = numbers("--gemm", shape, shape, 3, "MxNxK");
  for (const Shape& s : {Shape{n[0], n[2]}, Shape{n[2], n[1]}, Shape{n[0], n[1]}}) check_small("--gemm", shape, s);
  return with_gradients(ops::linear, {}, {n[0], n[2]}, {n[2], n[1]}, "gemm " + shape);
}

std::vector<CountedProblem> conv_problems(const std::string& shape) {
  constexpr std::string_view kForm = "NxHxWxC,RxSxK[,stride[,groups]]";
  const std::vector<std::string_view> parts = split_at(',', shape);
  if (parts.size() < 2 || parts.size() > 4) fail("--conv", "got '{}', expected {}", shape, kForm);
  const auto x = numbers("--conv", shape, parts[0], 4, kForm), f = numbers("--conv", shape, parts[1], 3, kForm);
  const int64_t stride = parts.size() > 2 ? numbers("--conv", shape, parts[2], 1, kForm)[0] : 1;
  const int64_t groups = parts.size() > 3 ? numbers("--conv", shape, parts[3], 1, kForm)[0] : 1;
  if (x[3] % groups) fail("--conv", "got '{}': {} channels do not divide into {} groups", shape, x[3], groups);
  for (const Shape& s : {Shape{x[0], x[1], x[2], x[3]}, Shape{f[0], f[1], x[3], f[2]}, Shape{x[0], x[1], x[2], f[2]}}) check_small("--conv", shape, s);
  const int64_t y = f[0] / 2, z = f[1] / 2;
  const Attrs attrs{{"stride", std::vector<int64_t>{stride, stride}}, {"pad", std::vector<int64_t>{y, z, y, z}}, {"groups", groups}};
  return with_gradients(ops::conv2d, attrs, {x[0], x[1], x[2], x[3]}, {f[0], f[1], x[3] / groups, f[2]}, "conv " + shape);
}

}  // namespace vkfer
