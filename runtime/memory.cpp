#include "runtime/memory.h"

#include <algorithm>
#include <map>

namespace vkfer {

static constexpr VkDeviceSize kBlockBytes = 64u << 20;

struct MemoryBlock {
  uint32_t type = 0;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkDeviceSize bytes = 0;
  std::byte* mapped = nullptr;
  std::map<VkDeviceSize, VkDeviceSize> free;  // offset -> bytes; neighbours are merged

  // First fit. Returns the offset, or ~0 when nothing fits.
  VkDeviceSize take(VkDeviceSize size, VkDeviceSize alignment) {
    for (auto [offset, room] : free) {
      VkDeviceSize start = (offset + alignment - 1) / alignment * alignment;
      if (start + size > offset + room) continue;
      free.erase(offset);
      if (start > offset) free[offset] = start - offset;
      if (start + size < offset + room) free[start + size] = offset + room - start - size;
      return start;
    }
    return ~VkDeviceSize(0);
  }

  void give_back(VkDeviceSize offset, VkDeviceSize size) {
    auto next = free.lower_bound(offset);
    if (next != free.end() && next->first == offset + size) {
      size += next->second;
      next = free.erase(next);
    }
    if (next != free.begin()) {
      auto previous = std::prev(next);
      if (previous->first + previous->second == offset) {
        previous->second += size;
        return;
      }
    }
    free[offset] = size;
  }
};

MemoryPool::MemoryPool(const VolkDeviceTable& vk, VkDevice device, VkPhysicalDevice physical, const DeviceInfo& info)
    : vk_(vk), device_(device), unified_(info.unified_memory) {
  vkGetPhysicalDeviceMemoryProperties(physical, &memory_);
}

MemoryPool::~MemoryPool() {
  for (auto& block : blocks_) vk_.vkFreeMemory(device_, block->memory, nullptr);
}

// Wishes from strict to lenient; the specification guarantees the last of each list.
uint32_t MemoryPool::memory_type(uint32_t allowed, Usage usage, const std::string& label) const {
  constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  constexpr VkMemoryPropertyFlags kMapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  constexpr VkMemoryPropertyFlags kCached = kMapped | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  std::vector<VkMemoryPropertyFlags> wishes;
  if (usage == Usage::device && unified_) wishes = {kLocal | kCached, kLocal, 0};
  else if (usage == Usage::device) wishes = {kLocal, 0};
  else if (usage == Usage::upload) wishes = {kMapped};
  else wishes = {kCached, kMapped};
  for (VkMemoryPropertyFlags wish : wishes)
    for (uint32_t i = 0; i < memory_.memoryTypeCount; ++i)
      if ((allowed >> i & 1) && (memory_.memoryTypes[i].propertyFlags & wish) == wish) return i;
  fail_device("memory", "'{}': got no fitting memory type, expected one. Fix: update the driver", label);
}

MemoryBlock& MemoryPool::add_block(uint32_t type, VkDeviceSize bytes, const std::string& label) {
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, nullptr, bytes, type};
  auto block = std::make_unique<MemoryBlock>();
  block->type = type;
  block->bytes = bytes;
  check_vulkan(vk_.vkAllocateMemory(device_, &info, nullptr, &block->memory), "memory",
               fmt::format("allocating {} MiB for '{}' ({} MiB are in use)", (bytes + (1 << 20) - 1) >> 20, label,
                           bytes_ >> 20));
  constexpr VkMemoryPropertyFlags kMapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  VkMemoryPropertyFlags flags = memory_.memoryTypes[type].propertyFlags;
  if ((flags & kMapped) == kMapped) {
    void* address = nullptr;
    VkResult result = vk_.vkMapMemory(device_, block->memory, 0, VK_WHOLE_SIZE, 0, &address);
    if (result != VK_SUCCESS) vk_.vkFreeMemory(device_, block->memory, nullptr);
    check_vulkan(result, "memory", "mapping memory");
    block->mapped = static_cast<std::byte*>(address);
  }
  block->free[0] = bytes;
  blocks_.push_back(std::move(block));
  return *blocks_.back();
}

MemoryPiece MemoryPool::allocate(const VkMemoryRequirements& needs, Usage usage, const std::string& label) {
  std::lock_guard lock(mutex_);
  uint32_t type = memory_type(needs.memoryTypeBits, usage, label);
  MemoryBlock* owner = nullptr;
  VkDeviceSize offset = ~VkDeviceSize(0);
  for (auto& block : blocks_) {
    if (block->type != type) continue;
    offset = block->take(needs.size, needs.alignment);
    owner = block.get();
    if (offset != ~VkDeviceSize(0)) break;
  }
  if (offset == ~VkDeviceSize(0)) {
    VkDeviceSize heap = memory_.memoryHeaps[memory_.memoryTypes[type].heapIndex].size;
    owner = &add_block(type, std::max(needs.size, std::min(kBlockBytes, heap / 16)), label);
    offset = owner->take(needs.size, needs.alignment);
  }
  bytes_ += needs.size;
  peak_bytes_ = std::max(peak_bytes_, bytes_);
  // A discrete GPU's mappable window stays unseen: reading through it is slower than a staged copy.
  bool map = owner->mapped && (usage != Usage::device || unified_);
  return {owner, owner->memory, offset, needs.size, map ? owner->mapped + offset : nullptr};
}

void MemoryPool::release(const MemoryPiece& piece) {
  std::lock_guard lock(mutex_);
  bytes_ -= piece.bytes;
  piece.block->give_back(piece.offset, piece.bytes);
  if (piece.block->free.size() != 1 || piece.block->free.begin()->second != piece.block->bytes) return;
  vk_.vkFreeMemory(device_, piece.memory, nullptr);
  std::erase_if(blocks_, [&](auto& block) { return block.get() == piece.block; });
}

size_t MemoryPool::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

size_t MemoryPool::peak_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_bytes_;
}

}  // namespace vkfer
