#include "tools/tune/tuner.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "graph/plan.h"
#include "graph/tuning.h"
#include "runtime/device_error.h"
#include "tools/bench/lone_node.h"
#include "tools/bench/spread.h"

namespace vkfer {
namespace {

constexpr double kLeastGain = 0.03;       // a candidate that wins by less is noise: the defaults stay
constexpr double kHopeless = 2;           // so many times slower than the best in the first round: not timed again
constexpr double kHalfError = 2e-3;       // a 16-bit result alone is off by up to 1e-3
constexpr double kRounding = 1e-7;        // of the largest input: what sums that cancel are off by, whoever adds them up
// Beyond this the obvious engine takes minutes on a CPU, and on a GPU, in one launch, longer than drivers let it.
double most_flops(DeviceType type) { return type == DeviceType::discrete ? 2e11 : 2e10; }

using Outputs = std::vector<std::vector<float>>;

Outputs outputs_of(LoneNode& node) {
  Outputs all;
  for (int i = 0; i < node.outputs(); ++i) all.push_back(node.output(i));
  return all;
}

double norm(const std::vector<float>& v) {
  double sum = 0;
  for (const float x : v) sum += double(x) * x;
  return std::sqrt(sum);
}

bool is_finite(const Outputs& outputs) {
  return std::all_of(outputs.begin(), outputs.end(), [](const auto& o) { return std::all_of(o.begin(), o.end(), [](float x) { return std::isfinite(x); }); });
}

bool same_bits(const Outputs& a, const Outputs& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  return a.size() == b.size();
}

bool uses_half(const Graph& g) {
  return std::any_of(g.values().begin(), g.values().end(), [](const ValueInfo& v) { return v.desc.dtype == DType::f16; });
}

// Both may be off by the op's error, in different directions.
std::string compare(const LoneNode& node, const Outputs& got, const Outputs& oracle) {
  const OpDef& op = *node.graph().nodes()[0].op;
  const double error = 2 * (uses_half(node.graph()) ? std::max(op.error, kHalfError) : op.error);
  for (size_t o = 0; o < got.size(); ++o) {
    std::vector<float> d(got[o].size());
    for (size_t i = 0; i < d.size(); ++i) d[i] = got[o][i] - oracle[o][i];
    const double off = norm(d), allowed = error * norm(oracle[o]) + 2 * kRounding * LoneNode::kLargest * std::sqrt(double(d.size()));
    if (!(off <= allowed)) return fmt::format("output {} differs from the direct engine's by {:.3g} in the norm, allowed {:.3g}", o, off, allowed);
  }
  return {};
}

Outputs oracle_outputs(Device& device, const Problem& problem, const Target& profile) {
  Target direct = profile;
  direct.engine = Engine::direct;
  LoneNode node(device, problem, direct);
  node.fill();
  node.run();
  return outputs_of(node);
}

// "" or why the candidate may not be used.
std::string examine(Device& device, const Problem& problem, const Target& target, const Outputs& oracle) {
  LoneNode node(device, problem, target, true);
  node.poison();
  node.fill();
  node.run();
  if (const std::string hit = node.check_guards(); !hit.empty()) return fmt::format("wrote behind the end of '{}'", hit);
  const Outputs got = outputs_of(node);
  if (!is_finite(got)) return "its result has a NaN or an infinity";
  if (std::string wrong = compare(node, got, oracle); !wrong.empty()) return wrong;
  node.run();
  return same_bits(got, outputs_of(node)) ? "" : "a second run gave other bits";
}

std::string launches(const Plan& plan) {
  std::string text;
  for (const PlannedNode& n : plan.nodes)
    for (const Dispatch& d : n.lowered.dispatches) {
      text += fmt::format("{} {} {}", d.module, fmt::join(d.constants, ","), fmt::join(d.groups, "x"));
      for (const std::byte b : d.push) text += fmt::format(" {:02x}", unsigned(b));
      for (const Binding& b : d.bindings) text += fmt::format(" {}:{}+{}", b.id, b.offset, b.bytes);
      text += "\n";
    }
  return text;
}

// The defaults and what the op lists, each set of launches once.
std::vector<Candidate> distinct_candidates(const Problem& problem, const Target& profile) {
  std::vector<Attrs> choices{{}};
  if (problem.op->candidates)
    for (Attrs& c : problem.op->candidates(profile)) choices.push_back(std::move(c));
  std::vector<Candidate> distinct;
  std::set<std::string> seen;
  const Graph graph = lone_graph(problem);
  for (const Attrs& choice : choices) try {
      if (seen.insert(launches(make_plan(graph, apply_choice(profile, choice)))).second) distinct.push_back({choice});
    } catch (const Error& e) {
      if (distinct.empty()) throw;  // then no plan of the network can be made
      distinct.push_back({choice, e.what()});
    }
  return distinct;
}

// In turns, so that a disturbance meets all of them.
void time_candidates(Device& device, const Problem& problem, const Target& profile, int repeats, std::vector<Candidate>& candidates) {
  std::vector<std::unique_ptr<LoneNode>> nodes(candidates.size());
  std::vector<std::vector<double>> samples(candidates.size());
  for (size_t c = 0; c < candidates.size(); ++c) {
    if (!candidates[c].rejected.empty()) continue;
    nodes[c] = std::make_unique<LoneNode>(device, problem, apply_choice(profile, candidates[c].choice));
    nodes[c]->fill();
    nodes[c]->run();
  }
  double best = 1e300;
  for (int round = 0; round < std::max(repeats, 1); ++round) {
    for (size_t c = 0; c < candidates.size(); ++c)
      if (nodes[c]) samples[c].push_back(nodes[c]->time(1).front());
    for (const auto& s : samples)
      if (!s.empty()) best = std::min(best, s.back());
    for (size_t c = 1; c < candidates.size(); ++c)
      if (nodes[c] && samples[c].back() > kHopeless * best) nodes[c].reset();
  }
  for (size_t c = 0; c < candidates.size(); ++c)
    if (!samples[c].empty()) candidates[c].milliseconds = spread_of(samples[c]).median;
}

size_t choose(const std::vector<Candidate>& candidates) {
  size_t best = 0;
  for (size_t c = 1; c < candidates.size(); ++c) {
    if (!candidates[c].rejected.empty()) continue;
    const bool first = !candidates[best].rejected.empty();
    const double limit = candidates[best].milliseconds * (best == 0 ? 1 - kLeastGain : 1);
    if (first || candidates[c].milliseconds < limit) best = c;
  }
  return best;
}

}  // namespace

TunedEntry TunedProblem::entry() const {
  return {what.problem.key(), candidates[chosen].choice, candidates[chosen].milliseconds, candidates[0].milliseconds};
}

TunedProblem tune_problem(Device& device, const CountedProblem& what, const Target& profile, int repeats) {
  TunedProblem t{what};
  t.candidates = distinct_candidates(what.problem, profile);
  if (t.candidates.size() < 2) {
    t.skipped = "nothing to choose";
    return t;
  }
  const double flops = make_plan(lone_graph(what.problem), profile).cost.flops;
  if (flops > most_flops(device.info().type)) {
    t.skipped = fmt::format("{:.0f} GFLOP take the direct engine too long to compare with. Fix: a smaller --batch or --size", flops * 1e-9);
    return t;
  }
  const Outputs oracle = oracle_outputs(device, what.problem, profile);
  if (!is_finite(oracle)) {
    t.skipped = "the direct engine's own result is not finite";
    return t;
  }
  for (Candidate& c : t.candidates) try {
      if (c.rejected.empty()) c.rejected = examine(device, what.problem, apply_choice(profile, c.choice), oracle);
    } catch (const DeviceLost&) {   // no other candidate can be tried
      throw;
    } catch (const Error& e) {
      c.rejected = e.what();
    }
  if (std::all_of(t.candidates.begin(), t.candidates.end(), [](const Candidate& c) { return !c.rejected.empty(); })) {
    t.skipped = fmt::format("no candidate agrees with the direct engine: {}", t.candidates[0].rejected);
    return t;
  }
  time_candidates(device, what.problem, profile, repeats, t.candidates);
  t.chosen = choose(t.candidates);
  return t;
}

}  // namespace vkfer
