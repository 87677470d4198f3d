#include "tools/bench/profile.h"

#include <algorithm>
#include <map>

namespace vkfer {
namespace {

void add_kernel(std::string& kernels, const std::string& module) {
  const std::string spaced = " " + kernels + " ";
  if (spaced.find(" " + module + " ") == std::string::npos) kernels += (kernels.empty() ? "" : " ") + module;
}

std::vector<ProfileRow> node_rows(Executor& executor, int repeats) {
  std::map<int, const PlannedNode*> planned;
  for (const PlannedNode& n : executor.plan().nodes) planned[n.node] = &n;
  std::vector<ProfileRow> rows;
  for (const NodeTiming& t : executor.profile(repeats)) {
    ProfileRow row{t.label, t.op, {}, 1, 0, t.milliseconds, t.cost};
    for (const Dispatch& d : planned.at(t.node)->lowered.dispatches) add_kernel(row.kernels, d.module), ++row.dispatches;
    rows.push_back(std::move(row));
  }
  return rows;
}

// The kernels of `row` join those of `sum`.
void add(ProfileRow& sum, const ProfileRow& row) {
  sum.nodes += row.nodes;
  sum.dispatches += row.dispatches;
  sum.milliseconds += row.milliseconds;
  sum.cost.flops += row.cost.flops;
  sum.cost.bytes += row.cost.bytes;
  for (size_t at = 0; at < row.kernels.size();) {
    const size_t end = std::min(row.kernels.find(' ', at), row.kernels.size());
    add_kernel(sum.kernels, row.kernels.substr(at, end - at));
    at = end + 1;
  }
}

Json event(const char* phase, int thread) { return {{"ph", phase}, {"pid", 1}, {"tid", thread}}; }

Json name_event(const char* what, int thread, const std::string& name) {
  Json e = event("M", thread);
  e["name"] = what;
  e["args"] = {{"name", name}};
  return e;
}

Json span_event(int thread, const std::string& name, const std::string& category, double start_ms, double milliseconds) {
  Json e = event("X", thread);
  e["name"] = name;
  e["cat"] = category;
  e["ts"] = start_ms * 1e3;  // microseconds
  e["dur"] = milliseconds * 1e3;
  return e;
}

}  // namespace

double Profile::device_milliseconds() const {
  double sum = 0;
  for (const ProfileRow& row : nodes) sum += row.milliseconds;
  return sum;
}

Profile profile_workload(Workload& work, const BenchOptions& options) {
  Profile p;
  p.step = bench_steps(work, options);
  p.nodes = node_rows(work.executor(), options.repeats);
  p.work = work.executor().recorded();
  return p;
}

std::vector<ProfileRow> by_op(const std::vector<ProfileRow>& nodes) {
  std::vector<ProfileRow> rows;
  for (const ProfileRow& node : nodes) {
    auto it = std::find_if(rows.begin(), rows.end(), [&](const ProfileRow& r) { return r.op == node.op; });
    if (it == rows.end()) it = rows.insert(rows.end(), ProfileRow{node.op, node.op});
    add(*it, node);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ProfileRow& a, const ProfileRow& b) { return a.milliseconds > b.milliseconds; });
  return rows;
}

Json chrome_trace(const Profile& p, const std::string& process) {
  constexpr int kDevice = 1, kHost = 2;
  Json events = Json::array({name_event("process_name", kDevice, process), name_event("thread_name", kDevice, "device"),
                             name_event("thread_name", kHost, "host")});
  double at = 0;
  for (const ProfileRow& row : p.nodes) {
    Json e = span_event(kDevice, row.label, row.op, at, row.milliseconds);
    e["args"] = {{"op", row.op}, {"kernels", row.kernels}, {"dispatches", row.dispatches}, {"flops", row.cost.flops},
                 {"bytes", row.cost.bytes}, {"gflops_per_second", row.gflops_per_second()}, {"gigabytes_per_second", row.gigabytes_per_second()}};
    events.push_back(std::move(e));
    at += row.milliseconds;
  }
  const double host = p.step.host_milliseconds.median;
  events.push_back(span_event(kHost, "upload, submit, read back", "host", 0, host));
  events.push_back(span_event(kHost, "wait for the device", "host", host, std::max(0.0, p.step.milliseconds.median - host)));
  return {{"traceEvents", events}, {"displayTimeUnit", "ms"}};
}

}  // namespace vkfer
