#include "runtime/machine_limits.h"

#include <algorithm>
#include <chrono>

namespace vkfer {
namespace {

constexpr double kLongEnoughSeconds = 0.02;   // beside it, a submission costs nothing
constexpr int kRepeats = 4;
constexpr size_t kCopyBytes = size_t(64) << 20;
constexpr uint32_t kTurns = 8192;             // a multiple of four; some CPU drivers end loops after 65,535 turns

struct FlopsPush { uint32_t turns; float factor, term; };
struct CopyPush { uint32_t count; };

double seconds_of(CommandStream& stream) {
  const auto start = std::chrono::steady_clock::now();
  stream.submit();
  stream.wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double best_seconds(CommandStream& stream) {
  double best = seconds_of(stream);  // compiles, too
  for (int i = 0; i < kRepeats; ++i) best = std::min(best, seconds_of(stream));
  return best;
}

// Workgroup sizes worth trying: which is fastest is the driver's secret.
std::vector<uint32_t> workgroups(const DeviceInfo& info) {
  std::vector<uint32_t> sizes{std::max(1u, info.subgroup_size)};
  for (const uint32_t size : {64u, 256u})
    if (size > sizes.back() && size <= std::min(info.max_invocations, info.max_workgroup[0])) sizes.push_back(size);
  return sizes;
}

CommandStream multiply_adds(Device& device, Buffer& sums, uint32_t workgroup, uint32_t groups) {
  CommandStream stream = device.stream();
  const FlopsPush push{kTurns, 0.999f, 0.001f};
  const Region region{&sums, 0, sums.bytes()};
  stream.dispatch(device.kernel("peak_flops.f32", std::vector{workgroup}), std::span(&region, 1), std::as_bytes(std::span(&push, 1)), {groups, 1, 1});
  stream.finish();
  return stream;
}

double measure_flops(Device& device) {
  double best = 0;
  for (const uint32_t workgroup : workgroups(device.info())) {
    const uint32_t most = std::min(device.info().max_groups[0], uint32_t(device.info().max_storage_range / 4 / workgroup));
    for (uint32_t groups = std::min(64u, most);; groups = std::min(groups * 4, most)) {
      Buffer sums = device.buffer(size_t(groups) * workgroup * 4, Usage::device, "peak");
      CommandStream stream = multiply_adds(device, sums, workgroup, groups);
      const double seconds = best_seconds(stream);
      best = std::max(best, double(groups) * workgroup * kTurns * 4 * 4 * 2 / seconds);
      if (seconds >= kLongEnoughSeconds || groups == most) break;
    }
  }
  return best;
}

double measure_copy(Device& device) {
  const DeviceInfo& info = device.info();
  const size_t bytes = std::min({kCopyBytes, info.max_storage_range, info.max_allocation_bytes}) / 4096 * 4096;
  Buffer from = device.buffer(bytes, Usage::device, "peak"), to = device.buffer(bytes, Usage::device, "peak");
  device.upload({&from, 0, bytes}, std::vector<std::byte>(bytes, std::byte{1}));
  const CopyPush push{uint32_t(bytes / 16)};
  double best = 0;
  for (const uint32_t workgroup : workgroups(info))
    for (const uint32_t vectors : {1u, 4u, 16u}) {
      const uint32_t groups = (push.count + workgroup * vectors - 1) / (workgroup * vectors);
      if (groups > info.max_groups[0]) continue;
      CommandStream stream = device.stream();
      const Region regions[] = {{&from, 0, bytes}, {&to, 0, bytes}};
      stream.dispatch(device.kernel("peak_copy.f32", std::vector{workgroup, vectors}), regions, std::as_bytes(std::span(&push, 1)), {groups, 1, 1});
      stream.finish();
      best = std::max(best, 2.0 * double(bytes) / best_seconds(stream));
    }
  return best;
}

}  // namespace

MachineLimits measure_limits(Device& device) { return {measure_flops(device), measure_copy(device)}; }

}  // namespace vkfer
