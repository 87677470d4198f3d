#include "tools/bench/lone_node.h"

#include <chrono>

namespace vkfer {
namespace {

constexpr size_t kGuardBytes = 64;

// -0.5..0.5 by position: the same everywhere.
float noise(size_t i) { return float(uint32_t(uint32_t(i) * 2654435761u) >> 8) / float(1 << 24) - 0.5f; }

}  // namespace

LoneNode::LoneNode(Device& device, const Problem& problem, const Target& target, bool guarded) : states_(std::make_unique<States>(device)) {
  Graph graph = lone_graph(problem);
  PlanOptions options;
  if (guarded) options.reuse = false, options.guard_bytes = kGuardBytes;
  Plan plan = make_plan(graph, target, options);
  executor_ = std::make_unique<Executor>(device, std::move(graph), std::move(plan), *states_);
}

void LoneNode::fill() {
  for (const Value v : graph().nodes()[0].in) {
    const TensorDesc& d = graph().desc(v);
    const size_t count = size_t(d.elements());
    if (d.dtype == DType::i32) {
      executor_->write(v, std::vector<int32_t>(count));
    } else if (d.dtype == DType::u8) {
      executor_->write(v, std::vector<uint8_t>(count));
    } else {
      const bool vector = d.shape.rank() < 2;  // a variance or a scale, perhaps: kept away from zero
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) values[i] = vector ? 1 + noise(i) : 2 * noise(i + size_t(v.id) * 977);
      executor_->write(v, values);
    }
  }
}

std::vector<double> LoneNode::time(int repeats) {
  std::vector<double> samples;
  for (const NodeTiming& t : executor_->profile(repeats)) samples.insert(samples.end(), t.samples.begin(), t.samples.end());
  by_timestamps_ = !samples.empty();
  for (int i = int(samples.size()); i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    samples.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return samples;
}

std::vector<float> LoneNode::output(int index) { return executor_->read(graph().nodes()[0].out[size_t(index)]); }

}  // namespace vkfer
