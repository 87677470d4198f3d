#include "runtime/staging.h"

#include <algorithm>
#include <cstring>

#include "runtime/device_state.h"

namespace vkfer {

static constexpr size_t kSlotBytes = 8u << 20;
static constexpr uint64_t kTimeoutNs = 60'000'000'000;

Staging::Staging(DeviceState& device) : device_(device) {
  VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr,
                               VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, device.family};
  check_vulkan(device.vk.vkCreateCommandPool(device.handle, &info, nullptr, &pool_), "staging", "creating a command pool");
  for (Slot& slot : slots_) make_slot(slot);
}

// The slots take memory of their own: the pool's pieces belong to Buffers, which keep the device alive.
void Staging::make_slot(Slot& slot) {
  VkBufferCreateInfo buffer{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  buffer.size = kSlotBytes;
  buffer.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  check_vulkan(device_.vk.vkCreateBuffer(device_.handle, &buffer, nullptr, &slot.buffer), "staging", "creating a buffer");
  VkMemoryRequirements needs;
  device_.vk.vkGetBufferMemoryRequirements(device_.handle, slot.buffer, &needs);
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(device_.physical, &memory);
  constexpr VkMemoryPropertyFlags kMapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  uint32_t type = 0;
  for (uint32_t i = memory.memoryTypeCount; i-- > 0;) {
    VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    bool cached = flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    bool chosen_cached = memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    bool chosen_fits = (memory.memoryTypes[type].propertyFlags & kMapped) == kMapped && (needs.memoryTypeBits >> type & 1);
    if ((needs.memoryTypeBits >> i & 1) && (flags & kMapped) == kMapped && (!chosen_fits || cached || !chosen_cached))
      type = i;
  }
  VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, nullptr, needs.size, type};
  check_vulkan(device_.vk.vkAllocateMemory(device_.handle, &allocate, nullptr, &slot.memory), "staging",
               "allocating memory");
  check_vulkan(device_.vk.vkBindBufferMemory(device_.handle, slot.buffer, slot.memory, 0), "staging", "binding memory");
  void* address = nullptr;
  check_vulkan(device_.vk.vkMapMemory(device_.handle, slot.memory, 0, VK_WHOLE_SIZE, 0, &address), "staging", "mapping");
  slot.mapped = static_cast<std::byte*>(address);
  VkCommandBufferAllocateInfo commands{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool_,
                                       VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  check_vulkan(device_.vk.vkAllocateCommandBuffers(device_.handle, &commands, &slot.commands), "staging",
               "allocating commands");
  VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  check_vulkan(device_.vk.vkCreateFence(device_.handle, &fence, nullptr, &slot.fence), "staging", "creating a fence");
}

Staging::~Staging() {
  for (Slot& slot : slots_) {
    if (slot.pending) device_.vk.vkWaitForFences(device_.handle, 1, &slot.fence, VK_TRUE, kTimeoutNs);
    device_.vk.vkDestroyFence(device_.handle, slot.fence, nullptr);
    device_.vk.vkDestroyBuffer(device_.handle, slot.buffer, nullptr);
    device_.vk.vkFreeMemory(device_.handle, slot.memory, nullptr);
  }
  device_.vk.vkDestroyCommandPool(device_.handle, pool_, nullptr);
}

void Staging::submit(Slot& slot, VkBuffer from, VkBuffer to, const VkBufferCopy& copy) {
  VolkDeviceTable& vk = device_.vk;
  VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check_vulkan(vk.vkBeginCommandBuffer(slot.commands, &begin), "staging", "recording a copy");
  VkMemoryBarrier before{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_MEMORY_WRITE_BIT,
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
  vk.vkCmdPipelineBarrier(slot.commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before,
                          0, nullptr, 0, nullptr);
  vk.vkCmdCopyBuffer(slot.commands, from, to, 1, &copy);
  VkMemoryBarrier after{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_HOST_READ_BIT};
  vk.vkCmdPipelineBarrier(slot.commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after, 0,
                          nullptr, 0, nullptr);
  check_vulkan(vk.vkEndCommandBuffer(slot.commands), "staging", "recording a copy");
  device_.submit(slot.commands, slot.fence);
  slot.pending = true;
}

void Staging::retire(Slot& slot) {
  if (!slot.pending) return;
  check_vulkan(device_.vk.vkWaitForFences(device_.handle, 1, &slot.fence, VK_TRUE, kTimeoutNs), "staging",
               "waiting for a copy");
  check_vulkan(device_.vk.vkResetFences(device_.handle, 1, &slot.fence), "staging", "resetting a fence");
  slot.pending = false;
  if (!slot.target.empty()) std::memcpy(slot.target.data(), slot.mapped, slot.target.size());
  slot.target = {};
}

void Staging::upload(const Region& to, std::span<const std::byte> from) {
  size_t turn = 0;
  for (size_t at = 0; at < from.size(); at += kSlotBytes) {
    Slot& slot = slots_[turn++ % slots_.size()];
    retire(slot);
    size_t bytes = std::min(kSlotBytes, from.size() - at);
    std::memcpy(slot.mapped, from.data() + at, bytes);
    submit(slot, slot.buffer, to.buffer->state().handle, {0, to.offset + at, bytes});
  }
  for (Slot& slot : slots_) retire(slot);
}

void Staging::download(const Region& from, std::span<std::byte> to) {
  size_t turn = 0;
  for (size_t at = 0; at < to.size(); at += kSlotBytes) {
    Slot& slot = slots_[turn++ % slots_.size()];
    retire(slot);
    slot.target = to.subspan(at, std::min(kSlotBytes, to.size() - at));
    submit(slot, from.buffer->state().handle, slot.buffer, {from.offset + at, 0, slot.target.size()});
  }
  for (Slot& slot : slots_) retire(slot);
}

}  // namespace vkfer
