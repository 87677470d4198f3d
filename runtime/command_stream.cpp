#include "runtime/command_stream.h"

#include <algorithm>
#include <cstring>

#include "runtime/descriptors.h"
#include "runtime/device_state.h"
#include "runtime/hazards.h"
#include "runtime/timestamps.h"

namespace vkfer {

static constexpr uint32_t kCanary = 0x5afe5afe;
static constexpr size_t kCanaries = 1024;  // later submissions share them

struct Submission {
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
};

struct StreamState {
  std::shared_ptr<DeviceState> device;
  VkCommandPool pool = VK_NULL_HANDLE;
  Descriptors descriptors;
  Timestamps timestamps;
  HazardTracker hazards;
  Buffer canaries;  // a word per submission, written at its end: a driver may give up silently and report success
  std::vector<Submission> submissions;
  bool recording = false, finished = false;
  size_t in_flight = 0;  // submissions handed over and not yet waited for
  size_t dispatches = 0, barriers = 0;

  explicit StreamState(std::shared_ptr<DeviceState>);
  ~StreamState();
  VkCommandBuffer commands();  // of the submission being recorded; starts one
  void before(std::span<const Access>);
  void end_submission();
};

static constexpr VkPipelineStageFlags kWork = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

// Covers all three kinds of hazard: it orders execution, and makes writes visible to reads and writes.
static void barrier(StreamState& state, VkCommandBuffer commands, VkPipelineStageFlags to, VkAccessFlags access) {
  VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr,
                         VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, access};
  state.device->vk.vkCmdPipelineBarrier(commands, kWork, to, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

static void work_barrier(StreamState& state, VkCommandBuffer commands) {
  barrier(state, commands, kWork, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                                      VK_ACCESS_TRANSFER_WRITE_BIT);
}

StreamState::StreamState(std::shared_ptr<DeviceState> owner)
    : device(std::move(owner)),
      descriptors(*device),
      timestamps(*device),
      canaries(device, kCanaries * sizeof(uint32_t), Usage::readback, "canaries") {
  VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr, 0, device->family};
  check_vulkan(device->vk.vkCreateCommandPool(device->handle, &info, nullptr, &pool), "stream", "creating a command pool");
}

StreamState::~StreamState() {
  if (in_flight) {
    std::lock_guard lock(device->queue_mutex);
    device->vk.vkQueueWaitIdle(device->queue);
  }
  for (Submission& each : submissions) device->vk.vkDestroyFence(device->handle, each.fence, nullptr);
  device->vk.vkDestroyCommandPool(device->handle, pool, nullptr);
}

VkCommandBuffer StreamState::commands() {
  if (finished) fail("stream", "got a command after finish(), expected it before. Fix: record into a new stream");
  if (recording) return submissions.back().commands;
  Submission& fresh = submissions.emplace_back();
  VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool,
                                       VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  check_vulkan(device->vk.vkAllocateCommandBuffers(device->handle, &allocate, &fresh.commands), "stream",
               "allocating commands");
  VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  check_vulkan(device->vk.vkCreateFence(device->handle, &fence, nullptr, &fresh.fence), "stream", "creating a fence");
  VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  check_vulkan(device->vk.vkBeginCommandBuffer(fresh.commands, &begin), "stream", "recording");
  recording = true;
  hazards.clear();
  work_barrier(*this, fresh.commands);  // earlier submissions, other streams, and the previous replay of this one
  if (submissions.size() == 1) timestamps.write(fresh.commands, "");
  return fresh.commands;
}

void StreamState::before(std::span<const Access> accesses) {
  VkCommandBuffer into = commands();
  if (!hazards.command(accesses)) return;
  work_barrier(*this, into);
  ++barriers;
}

void StreamState::end_submission() {
  if (!recording) return;
  VkCommandBuffer into = submissions.back().commands;
  work_barrier(*this, into);
  size_t word = (submissions.size() - 1) % kCanaries;
  device->vk.vkCmdFillBuffer(into, canaries.state().handle, word * 4, 4, kCanary);
  barrier(*this, into, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
  check_vulkan(device->vk.vkEndCommandBuffer(into), "stream", "recording");
  recording = false;
}

CommandStream::CommandStream(std::shared_ptr<DeviceState> device)
    : state_(std::make_unique<StreamState>(std::move(device))) {}
CommandStream::CommandStream(CommandStream&&) noexcept = default;
CommandStream& CommandStream::operator=(CommandStream&&) noexcept = default;
CommandStream::~CommandStream() = default;

static Access access(const Region& region, bool read, bool written) {
  return {&region.buffer->state(), region.offset, region.offset + region.bytes, read, written};
}

void CommandStream::dispatch(const Kernel& kernel, std::span<const Region> bindings, std::span<const std::byte> push,
                             std::array<uint32_t, 3> groups) {
  const DeviceInfo& info = state_->device->info;
  for (size_t i = 0; i < 3; ++i)
    if (groups[i] == 0 || groups[i] > info.max_groups[i])
      fail(kernel.name(), "got {} workgroups in dimension {}, expected 1 to {}. Fix: give each invocation more work",
           groups[i], i, info.max_groups[i]);
  if (push.size() < kernel.push_bytes() || push.size() > info.max_push_bytes)
    fail(kernel.name(), "got {} bytes of push constants, expected {} (at most {}). Fix: push the kernel's own struct",
         push.size(), kernel.push_bytes(), info.max_push_bytes);
  VkDescriptorSet set = state_->descriptors.set(kernel, bindings);
  std::vector<Access> accesses;
  for (const SpirvBinding& each : kernel.bindings())
    accesses.push_back(access(bindings[each.number], each.read, each.written));
  state_->before(accesses);
  VkCommandBuffer into = state_->commands();
  const VolkDeviceTable& vk = state_->device->vk;
  const KernelState& own = kernel.state();
  vk.vkCmdBindPipeline(into, VK_PIPELINE_BIND_POINT_COMPUTE, own.pipeline);
  vk.vkCmdBindDescriptorSets(into, VK_PIPELINE_BIND_POINT_COMPUTE, own.layout, 0, 1, &set, 0, nullptr);
  if (kernel.push_bytes())
    vk.vkCmdPushConstants(into, own.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, kernel.push_bytes(), push.data());
  vk.vkCmdDispatch(into, groups[0], groups[1], groups[2]);
  ++state_->dispatches;
}

void CommandStream::copy(Region from, Region to) {
  if (from.bytes == 0 && to.bytes == 0) return;  // a tensor without elements
  check_region(from, "copy");
  check_region(to, "copy");
  if (from.bytes != to.bytes)
    fail("copy", "'{}' to '{}': got {} and {} bytes, expected the same. Fix: correct the regions", from.buffer->label(),
         to.buffer->label(), from.bytes, to.bytes);
  bool overlap = &from.buffer->state() == &to.buffer->state() && from.offset < to.offset + to.bytes &&
                 to.offset < from.offset + from.bytes;
  if (overlap) fail("copy", "'{}': got regions that overlap. Fix: copy in two steps", from.buffer->label());
  const Access accesses[] = {access(from, true, false), access(to, false, true)};
  state_->before(accesses);
  VkBufferCopy range{from.offset, to.offset, from.bytes};
  state_->device->vk.vkCmdCopyBuffer(state_->commands(), from.buffer->state().handle, to.buffer->state().handle, 1,
                                     &range);
}

void CommandStream::fill(Region region, uint32_t word) {
  check_region(region, "fill");
  if (region.offset % 4 || region.bytes % 4)
    fail("fill", "'{}': got {} bytes at offset {}, expected multiples of 4. Fix: align the region",
         region.buffer->label(), region.bytes, region.offset);
  const Access accesses[] = {access(region, false, true)};
  state_->before(accesses);
  state_->device->vk.vkCmdFillBuffer(state_->commands(), region.buffer->state().handle, region.offset, region.bytes,
                                     word);
}

void CommandStream::mark(std::string_view label) {
  VkCommandBuffer into = state_->commands();
  state_->timestamps.write(into, std::string(label));
}

void CommandStream::cut() { state_->end_submission(); }

void CommandStream::finish() {
  state_->end_submission();
  state_->finished = true;
}

void CommandStream::submit() {
  StreamState& state = *state_;
  if (!state.finished) fail("stream", "got submit() while recording, expected finish() before. Fix: call finish()");
  wait();
  std::memset(state.canaries.mapped(), 0, state.canaries.bytes());
  for (Submission& each : state.submissions) {
    state.device->submit(each.commands, each.fence);
    ++state.in_flight;
  }
}

void CommandStream::wait() {
  StreamState& state = *state_;
  const DeviceInfo& info = state.device->info;
  uint64_t timeout_ns = (info.type == DeviceType::cpu ? 1800 : 120) * uint64_t(1'000'000'000);
  size_t count = state.in_flight;
  for (size_t i = 0; i < count; ++i)
    check_vulkan(state.device->vk.vkWaitForFences(state.device->handle, 1, &state.submissions[i].fence, VK_TRUE,
                                                  timeout_ns),
                 info.name, fmt::format("running submission {} of {}", i + 1, state.submissions.size()));
  for (size_t i = 0; i < count; ++i) {
    check_vulkan(state.device->vk.vkResetFences(state.device->handle, 1, &state.submissions[i].fence), "stream",
                 "resetting a fence");
    --state.in_flight;
  }
  for (size_t i = 0; i < count; ++i) {
    uint32_t word = 0;
    std::memcpy(&word, state.canaries.mapped() + i % kCanaries * 4, 4);
    if (word != kCanary)
      check_vulkan(VK_ERROR_DEVICE_LOST, info.name,
                   fmt::format("submission {} of {} was cancelled, though the driver reported success", i + 1,
                               state.submissions.size()));
  }
}

std::vector<Timing> CommandStream::timings() { return state_->timestamps.read(); }
size_t CommandStream::dispatches() const { return state_->dispatches; }
size_t CommandStream::barriers() const { return state_->barriers; }
size_t CommandStream::submissions() const { return state_->submissions.size(); }

}  // namespace vkfer
