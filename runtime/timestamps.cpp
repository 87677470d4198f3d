#include "runtime/timestamps.h"

#include "runtime/device_state.h"

namespace vkfer {

static constexpr uint32_t kPerPool = 128;

Timestamps::~Timestamps() {
  for (VkQueryPool pool : pools_) device_.vk.vkDestroyQueryPool(device_.handle, pool, nullptr);
}

void Timestamps::write(VkCommandBuffer commands, std::string label) {
  if (device_.info.timestamp_valid_bits == 0) return;
  auto index = uint32_t(labels_.size() % kPerPool);
  if (index == 0) {  // reset where it is first used, so that every replay resets it
    VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = kPerPool;
    VkQueryPool pool = VK_NULL_HANDLE;
    check_vulkan(device_.vk.vkCreateQueryPool(device_.handle, &info, nullptr, &pool), "stream", "creating timestamps");
    pools_.push_back(pool);
    device_.vk.vkCmdResetQueryPool(commands, pool, 0, kPerPool);
  }
  device_.vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pools_.back(), index);
  labels_.push_back(std::move(label));
}

std::vector<Timing> Timestamps::read() const {
  std::vector<Timing> timings;
  uint64_t previous = 0;
  uint32_t bits = device_.info.timestamp_valid_bits;
  uint64_t mask = bits >= 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  for (size_t i = 0; i < labels_.size(); ++i) {
    uint64_t ticks = 0;
    check_vulkan(device_.vk.vkGetQueryPoolResults(device_.handle, pools_[i / kPerPool], uint32_t(i % kPerPool), 1,
                                                  sizeof ticks, &ticks, sizeof ticks, VK_QUERY_RESULT_64_BIT),
                 "stream", "reading timestamps before the commands have run");
    if (i) timings.push_back({labels_[i], double((ticks - previous) & mask) * device_.info.timestamp_period_ns * 1e-6});
    previous = ticks;
  }
  return timings;
}

}  // namespace vkfer
