#pragma once
// Where the time of a step goes: the device's timestamps after every node, summed up by op.
#include <string>
#include <vector>

#include "tools/bench/step_bench.h"

namespace vkfer {

// One node, or all nodes of an op.
struct ProfileRow {
  std::string label, op;
  std::string kernels;               // the modules it launches, "conv_gemm.f32 sum_slices.f32"
  int nodes = 0;
  size_t dispatches = 0;
  double milliseconds = 0;           // medians, added up
  Cost cost;
  double gflops_per_second() const { return milliseconds > 0 ? cost.flops / milliseconds * 1e-6 : 0; }
  double gigabytes_per_second() const { return milliseconds > 0 ? cost.bytes / milliseconds * 1e-6 : 0; }
};

struct Profile {
  StepBench step;                    // unprofiled steps: what a user sees
  std::vector<ProfileRow> nodes;     // in execution order; empty where the device has no timestamps
  RecordedWork work;
  double device_milliseconds() const;      // the sum over the nodes
};

Profile profile_workload(Workload&, const BenchOptions&);
std::vector<ProfileRow> by_op(const std::vector<ProfileRow>& nodes);   // the slowest first

// For chrome://tracing and Perfetto: one step, its nodes one after the other on the device's line, the host's share on another.
Json chrome_trace(const Profile&, const std::string& process);

}  // namespace vkfer
