#include "tests/op_shader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "graph/executor.h"
#include "graph/reference.h"
#include "runtime/error.h"
#include "tests/op_case.h"
#include "tests/op_compare.h"
#include "tests/op_targets.h"

namespace vkfer::test {

namespace {

Device open_test_device() {
  const char* query = std::getenv("VKFER_TEST_DEVICE");
  Device device(DeviceChoice{.query = query ? query : ""});
  fmt::print(stderr, "device: {}, {}\n", device.info().name, device.info().driver_info);
  return device;
}

}  // namespace

Device& test_device() {
  static Device device = open_test_device();
  return device;
}

std::string new_validation_messages() {
  static size_t seen = 0;
  std::string text;
  const std::vector<std::string> all = test_device().validation_messages();
  for (; seen < all.size(); ++seen) text += all[seen] + "\n";
  return text;
}

namespace {

constexpr size_t kGuardBytes = 64;
constexpr double kHalfError = 2e-3;  // a 16-bit result alone is off by up to 1e-3

// ---- one node alone ---------------------------------------------------------------------------

struct Lone {
  Graph graph;
  std::vector<Value> in;                     // per input of the node
  std::vector<std::pair<int, int>> written;  // {output, input}: written in place
};

// Pairs that can be in force together, from the front or from the back of the op's list.
std::vector<std::pair<int, int>> in_place_pairs(const Graph& g, const Node& node, bool from_back) {
  std::vector<std::pair<int, int>> wanted = in_place_of(node), chosen;
  if (from_back) std::reverse(wanted.begin(), wanted.end());
  for (const auto& pair : wanted) {
    const auto out = pair.first, in = pair.second;
    if (size_t(in) >= node.in.size() || size_t(out) >= node.out.size()) continue;
    if (!(g.desc(node.in[size_t(in)]) == g.desc(node.out[size_t(out)]))) continue;
    if (!is_float(g.desc(node.out[size_t(out)]).dtype)) continue;  // states are written as floats
    const bool taken = std::any_of(chosen.begin(), chosen.end(), [&](auto& c) {
      return c.first == out || node.in[size_t(c.second)] == node.in[size_t(in)];
    });
    if (!taken) chosen.push_back({out, in});
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

Lone isolate(const Graph& g, const Node& node, std::vector<std::pair<int, int>> written) {
  Lone lone;
  lone.written = std::move(written);
  std::map<int, Value> copied;  // a value that the node reads twice stays one value
  for (size_t i = 0; i < node.in.size(); ++i) {
    const int id = node.in[i].id;
    const bool state = std::any_of(lone.written.begin(), lone.written.end(),
                                   [&](auto& w) { return node.in[size_t(w.second)].id == id; });
    const std::string name = fmt::format("in{}", i);
    if (!copied.count(id))
      copied[id] = state ? lone.graph.state(name, g.desc(node.in[i])) : lone.graph.input(name, g.desc(node.in[i]));
    lone.in.push_back(copied[id]);
  }
  lone.graph.add(*node.op, node.attrs, lone.in, "node");
  for (Value v : lone.graph.nodes()[0].out) lone.graph.output(v);
  for (auto [out, in] : lone.written) lone.graph.update(lone.in[size_t(in)], lone.graph.nodes()[0].out[size_t(out)]);
  return lone;
}

// ---- the device -------------------------------------------------------------------------------

template <class T>
std::vector<T> converted(const HostTensor& t) {
  return std::vector<T>(t.data.begin(), t.data.end());
}

class Runner {
 public:
  Runner(const Lone& lone, const Target& target) : lone_(lone), states_(test_device()) {
    const Plan plan = make_plan(lone.graph, target, {.reuse = false, .guard_bytes = kGuardBytes});
    executor_ = std::make_unique<Executor>(test_device(), lone.graph, plan, states_);
  }

  void prepare(const std::vector<HostTensor>& in) {
    executor_->poison();
    for (size_t i = 0; i < in.size(); ++i)
      if (lone_.graph.info(lone_.in[i]).role == Role::input) write(lone_.in[i], in[i]);
    restore(in);
  }

  // The states that a run wrote over.
  void restore(const std::vector<HostTensor>& in) {
    for (size_t i = 0; i < in.size(); ++i)
      if (lone_.graph.info(lone_.in[i]).role == Role::state)
        states_.write(lone_.graph.info(lone_.in[i]).name, converted<float>(in[i]));
  }

  std::vector<DeviceTensor> run() {
    executor_->run();
    std::vector<DeviceTensor> out;
    for (Value v : lone_.graph.nodes()[0].out) out.push_back(read(v));
    return out;
  }

  std::string guards() { return executor_->check_guards(); }

 private:
  void write(Value v, const HostTensor& t) {
    const DType type = lone_.graph.desc(v).dtype;
    if (type == DType::i32) executor_->write(v, std::span<const int32_t>(converted<int32_t>(t)));
    else if (type == DType::u8) executor_->write(v, std::span<const uint8_t>(converted<uint8_t>(t)));
    else executor_->write(v, std::span<const float>(converted<float>(t)));
  }

  template <class T>
  DeviceTensor read_as(Value v) {
    std::vector<T> values(size_t(lone_.graph.desc(v).elements()));
    executor_->read(v, std::span<T>(values));
    const auto bits = std::as_bytes(std::span<const T>(values));
    return {std::vector<double>(values.begin(), values.end()), std::vector<std::byte>(bits.begin(), bits.end())};
  }

  DeviceTensor read(Value v) {
    const DType type = lone_.graph.desc(v).dtype;
    return type == DType::i32 ? read_as<int32_t>(v) : type == DType::u8 ? read_as<uint8_t>(v) : read_as<float>(v);
  }

  const Lone& lone_;
  States states_;
  std::unique_ptr<Executor> executor_;
};

// ---- what to run ------------------------------------------------------------------------------

// A node's inputs as stored, and what its reference makes of them.
struct Sample {
  std::string fill;
  bool exact = false;
  std::vector<HostTensor> in, out;
};

std::vector<HostTensor> run_node(const Graph& g, const Node& node, const std::vector<HostTensor>& in) {
  std::vector<HostTensor> out;
  for (Value v : node.out) out.emplace_back(g.shape(v));
  node.op->reference(node.attrs, in, out);
  return out;
}

Sample sample_of(const CaseGraph& g, const Node& node, const std::map<int, HostTensor>& values, std::string fill) {
  Sample s{std::move(fill), false, {}, {}};
  for (Value v : node.in) s.in.push_back(rounded(g.graph.desc(v).dtype, values.at(v.id)));
  s.out = run_node(g.graph, node, s.in);
  return s;
}

bool representable(const Graph& g, const Node& node, const std::vector<HostTensor>& out, double f32_limit,
                   double f16_limit) {
  for (size_t o = 0; o < out.size(); ++o) {
    const DType type = g.desc(node.out[o]).dtype;
    const double limit = type == DType::f16 ? f16_limit : f32_limit;
    const HostTensor stored = rounded(type, out[o]);
    for (size_t i = 0; i < stored.data.size(); ++i)
      if (stored[i] != out[o][i] || std::abs(stored[i]) > limit) return false;
  }
  return true;
}

// Integers in, representable numbers out, and every partial sum of the terms' sizes exact in f32: then the order of
// summation does not matter and the shader has to agree bit for bit.
bool is_exact(const CaseGraph& g, const Node& node, const Sample& s) {
  if (!node.op->exact_on_integers) return false;
  for (const HostTensor& t : s.in)
    for (double x : t.data)
      if (x != std::rint(x)) return false;
  std::vector<HostTensor> sizes = s.in;
  for (size_t i = 0; i < sizes.size(); ++i)
    if (is_float(g.graph.desc(node.in[i]).dtype))
      for (double& x : sizes[i].data) x = std::abs(x);
  return representable(g.graph, node, s.out, 0x1p24, 0x1p11) &&
         representable(g.graph, node, run_node(g.graph, node, sizes), 0x1p24, 0x1p24);
}

// The tensors that a row of impulses can go into: inputs of the case that the node reads.
std::vector<int> impulse_places(const CaseGraph& g, const Node& node) {
  std::set<int> ids;
  for (Value v : node.in) {
    auto fill = g.fills.find(v.id);
    if (fill != g.fills.end() && fill->second.kind == Fill::Kind::real && is_float(g.graph.desc(v).dtype) &&
        g.graph.desc(v).elements() > 1)
      ids.insert(v.id);
  }
  return {ids.begin(), ids.end()};
}

std::vector<Sample> samples_of(const CaseGraph& g, const Node& node, const std::string& seed) {
  std::vector<Sample> samples;
  auto add = [&](FillMode mode, std::string fill, int impulse = -1) {
    samples.push_back(sample_of(g, node, run_reference(g.graph, fill_case(g, mode, seed + fill, impulse)), fill));
  };
  if (node.op->exact_on_integers) {
    add(FillMode::integers, "integers");
    samples.back().exact = is_exact(g, node, samples.back());
    if (!samples.back().exact) samples.clear();
  }
  if (samples.empty())
    for (int id : impulse_places(g, node)) add(FillMode::impulse, "impulse_" + g.graph.info(Value{id}).name, id);
  add(FillMode::real, "real");
  return samples;
}

std::string compare(const CaseGraph& g, const Node& node, const Sample& s, const std::vector<DeviceTensor>& got) {
  bool half = false;
  for (Value v : node.in) half |= g.graph.desc(v).dtype == DType::f16;
  for (Value v : node.out) half |= g.graph.desc(v).dtype == DType::f16;
  const double error = half ? std::max(node.op->error, kHalfError) : node.op->error;
  double largest = 0;
  for (size_t i = 0; i < s.in.size(); ++i)
    if (is_float(g.graph.desc(node.in[i]).dtype))
      for (double x : s.in[i].data) largest = std::max(largest, std::abs(x));
  for (size_t o = 0; o < got.size(); ++o) {
    const bool exact = s.exact || node.op->error == 0 || g.graph.desc(node.out[o]).dtype == DType::i32;
    const std::string wrong =
        exact ? compare_exactly(got[o], s.out[o]) : compare_within(got[o], s.out[o], error, largest);
    if (!wrong.empty()) return fmt::format("output {}: {}", o, wrong);
  }
  return "";
}

std::string run_sample(const CaseGraph& g, const Node& node, const Sample& s, Runner& runner) {
  runner.prepare(s.in);
  const std::vector<DeviceTensor> first = runner.run();
  if (const std::string hit = runner.guards(); !hit.empty()) return fmt::format("wrote behind the end of '{}'", hit);
  if (const std::string wrong = compare(g, node, s, first); !wrong.empty()) return wrong;
  runner.restore(s.in);
  const std::vector<DeviceTensor> second = runner.run();
  for (size_t o = 0; o < first.size(); ++o)
    if (first[o].bits != second[o].bits) return fmt::format("output {}: the second run gave other bits", o);
  return "";
}

void check_lowering(const CaseGraph& g, const Node& node, const Lone& lone, const TestTarget& target,
                    const std::vector<Sample>& samples, const std::string& name, const RowReport& report) {
  std::unique_ptr<Runner> runner;  // made when a row is selected
  for (const Sample& s : samples) {
    const std::string row = fmt::format("{} fill={}", name, s.fill);
    if (!row_selected(row)) continue;
    try {
      if (!runner) runner = std::make_unique<Runner>(lone, target.target);
      report(row, run_sample(g, node, s, *runner));
    } catch (const std::exception& e) {
      report(row, e.what());
    }
  }
}

void check_node(const CaseGraph& g, const Node& node, const std::string& name, Targets targets,
                const RowReport& report) {
  std::vector<Sample> samples;  // made when a row is selected
  auto lowerings = [&](const std::vector<std::pair<int, int>>& written, const std::string& words, Targets which) {
    const Lone lone = isolate(g.graph, node, written);
    const Target own = target_for(test_device().info());
    std::vector<TestTarget> chosen = which == Targets::own ? std::vector<TestTarget>{{"own", own}} : distinct_targets(lone.graph, own);
    if (which == Targets::coopmat) std::erase_if(chosen, [](const TestTarget& t) { return t.target.engine != Engine::coopmat; });
    for (const TestTarget& target : chosen) {
      const std::string row = fmt::format("{} target={}{}", name, target.name, words);
      if (samples.empty()) samples = samples_of(g, node, name);
      check_lowering(g, node, lone, target, samples, row, report);
    }
  };
  lowerings({}, "", targets);
  const auto front = in_place_pairs(g.graph, node, false), back = in_place_pairs(g.graph, node, true);
  if (!front.empty()) lowerings(front, " in_place", Targets::own);
  if (back != front) lowerings(back, " in_place=last", Targets::own);
}

}  // namespace

void check_shader(const OpDef& op, const Case& c, const std::string& name, Targets targets, const RowReport& report) {
  const CaseGraph g = build_case(op, c);
  std::map<std::string_view, int> count;
  for (const Node& node : g.graph.nodes()) {
    const int nth = count[node.op->name]++;
    std::string words = fmt::format("{} node={}", name, node.op->name);
    if (nth) words += fmt::format("#{}", nth + 1);
    try {
      check_node(g, node, words, targets, report);
    } catch (const std::exception& e) {
      report(words, e.what());
    }
  }
}

bool is_exact_on_integers(const OpDef& op, const Case& c, size_t node) {
  const CaseGraph g = build_case(op, c);
  const Node& n = g.graph.nodes()[node];
  return n.op->exact_on_integers &&
         is_exact(g, n, sample_of(g, n, run_reference(g.graph, fill_case(g, FillMode::integers, "exact")), ""));
}

}  // namespace vkfer::test
