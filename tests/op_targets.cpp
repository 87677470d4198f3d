#include "tests/op_targets.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "runtime/error.h"

namespace vkfer::test {

namespace {

// Everything of a plan that a device sees.
std::string launches(const Plan& plan) {
  std::string text;
  for (const PlannedNode& node : plan.nodes)
    for (const Dispatch& d : node.lowered.dispatches) {
      text += fmt::format("{} {}x{}x{}", d.module, d.groups[0], d.groups[1], d.groups[2]);
      for (uint32_t c : d.constants) text += fmt::format(" {}", c);
      for (const Binding& b : d.bindings) text += fmt::format(" [{}:{}+{}]", b.id, b.offset, b.bytes);
      for (std::byte b : d.push) text += fmt::format("{:02x}", unsigned(b));
      text += "\n";
    }
  return text;
}

std::optional<Plan> plan_if_possible(const Graph& graph, const Target& target) {
  try {
    return make_plan(graph, target);
  } catch (const Error&) {
    return std::nullopt;  // the node cannot be cut that small
  }
}

size_t largest_tensor(const Graph& graph) {
  size_t bytes = 0;
  for (const ValueInfo& value : graph.values()) bytes = std::max(bytes, value.desc.bytes());
  return bytes;
}

uint64_t most_groups(const Plan& plan) {
  uint64_t most = 1;
  for (const PlannedNode& node : plan.nodes)
    for (const Dispatch& d : node.lowered.dispatches)
      most = std::max(most, uint64_t(d.groups[0]) * d.groups[1] * d.groups[2]);
  return most;
}

// The smallest storage range that the node still can be cut to.
std::optional<Target> sliced(const Graph& graph, const Target& own) {
  for (int part : {2, 3, 4, 5, 6, 7, 8}) {
    Target target = own;
    const size_t step = 4 * std::max<size_t>(own.storage_alignment, 16);  // flat slices start on so many elements
    target.max_storage_range = (largest_tensor(graph) * size_t(part) / 8 + step - 1) / step * step;
    if (plan_if_possible(graph, target)) return target;
  }
  return std::nullopt;
}

}  // namespace

std::vector<TestTarget> distinct_targets(const Graph& graph, const Target& own) {
  std::vector<TestTarget> all = {{"own", own}};
  auto variant = [&](std::string name, auto change) {
    all.push_back({std::move(name), own});
    change(all.back().target);
  };
  for (Engine e : {Engine::direct, Engine::subgroup, Engine::shared, Engine::coopmat}) {
    if (e == Engine::coopmat && !own.matrix[0]) continue;
    variant(engine_name(e), [&](Target& t) { t.engine = e; });
    if (e < Engine::shared) continue;
    // The least that Vulkan promises, and a device so wide that the inner dimension is split.
    variant(fmt::format("{}_small", engine_name(e)), [&](Target& t) { t.engine = e, t.shared_memory_bytes = 16384, t.max_invocations = 128; });
    variant(fmt::format("{}_split", engine_name(e)), [&](Target& t) { t.engine = e, t.parallel_groups = 1000; });
  }
  // A CPU driver that has them off may have them wrong: runtime/query_device.cpp.
  if (own.texel || own.engine > Engine::subgroup) variant("texel", [](Target& t) { t.texel = !t.texel; });
  variant("scalar_loads", [](Target& t) { t.scalar_loads = !t.scalar_loads; });
  variant("few_groups", [](Target& t) { t.parallel_groups = 1, t.workgroup = 32, t.vectors_per_invocation = 8; });
  variant("many_groups", [](Target& t) { t.parallel_groups = 1000, t.vectors_per_invocation = 1; });
  if (std::optional<Target> t = sliced(graph, own)) all.push_back({"sliced", *t});
  const uint32_t side = uint32_t(std::ceil(std::sqrt(double(most_groups(make_plan(graph, own))))));
  variant("spread", [&](Target& t) { t.max_groups = std::max(2u, side); });

  std::vector<TestTarget> distinct;
  std::vector<std::string> seen;
  for (TestTarget& t : all) {
    const std::optional<Plan> plan = plan_if_possible(graph, t.target);
    if (!plan) continue;
    const std::string text = launches(*plan);
    if (std::find(seen.begin(), seen.end(), text) != seen.end()) continue;
    seen.push_back(text);
    distinct.push_back(std::move(t));
  }
  return distinct;
}

}  // namespace vkfer::test
