#include "tools/train/memory_budget.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "graph/exchange.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

std::string text(size_t bytes) { return fmt::format("{} MiB", (bytes + (1 << 20) - 1) >> 20); }

size_t input_bytes(const Graph& g) {
  size_t bytes = 0;
  for (const ValueInfo& v : g.values())
    if (v.role == Role::input) bytes += v.desc.bytes();
  return bytes;
}

}  // namespace

size_t parse_bytes(std::string_view s) {
  double number = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), number);
  std::string unit(end, s.data() + s.size());
  std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return char(std::toupper(c)); });
  if (unit.ends_with("IB")) unit.resize(unit.size() - 2);
  else if (unit.ends_with("B")) unit.resize(unit.size() - 1);
  static constexpr std::string_view kUnits[] = {"", "K", "M", "G", "T"};
  const auto* found = std::ranges::find(kUnits, unit);
  const double bytes = number * std::pow(1024.0, double(found - std::begin(kUnits)));
  if (error != std::errc{} || found == std::end(kUnits) || !(bytes >= 1) || bytes > 1e18)
    fail("--memory-budget", "got '{}', expected a size as 512M or 2G", s);
  return size_t(bytes);
}

size_t training_bytes(const StepPlan& p, const Target& target) {
  const StepGraph evaluation = evaluation_graph(p.network);
  return p.activation_bytes() + p.state_bytes() + make_plan(evaluation.graph, target).arena_bytes() +
         Exchange::kHalves * (input_bytes(p.step.graph) + input_bytes(evaluation.graph));
}

StepPlan plan_step_within(size_t budget, const NetworkSettings& network, int pieces, const OptimizerDef& optimizer, const OptimizerSettings& settings,
                          const Target& target) {
  NetworkSettings again = network;
  again.recompute = true;
  size_t least = SIZE_MAX;
  bool mixes_images = false;
  const auto fitting = [&](const NetworkSettings& n, int count) -> std::optional<StepPlan> {
    StepPlan p = plan_step(n, count, optimizer, settings, target);
    const size_t bytes = training_bytes(p, target);
    least = std::min(least, bytes);
    mixes_images = p.mixes_images;
    if (bytes > budget) return std::nullopt;
    return p;
  };
  const int first = std::max(pieces, 1);
  if (auto p = fitting(network, first)) return std::move(*p);
  const size_t plain = least;
  if (auto p = fitting(again, first)) return std::move(*p);
  const size_t whole = least;
  const bool may_cut = pieces == 0 && !mixes_images;
  for (int count = 2; may_cut && count <= network.batch; ++count)
    if (network.batch % count == 0)
      if (auto p = fitting(again, count)) return std::move(*p);
  std::string cut = ".";
  if (pieces == 0 && !may_cut)
    cut = ". Its batch norm looks at the whole batch: pieces of it would give other results, so they are only cut on request.";
  fail("--memory-budget", "training at batch {} takes {}, and {} with activations computed again; the budget is {}{} Fix: {}a smaller --batch or --size",
       network.batch, text(plain), text(whole), text(budget), cut, pieces == 0 && !may_cut ? "--micro-batch N, or " : "");
}

}  // namespace vkfer
