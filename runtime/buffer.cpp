#include "runtime/buffer.h"

#include "runtime/device_state.h"

namespace vkfer {

static VkBuffer make_buffer(DeviceState& device, size_t bytes) {
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = (bytes + 15) / 16 * 16;  // whole texels
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  VkBuffer handle = VK_NULL_HANDLE;
  check_vulkan(device.vk.vkCreateBuffer(device.handle, &info, nullptr, &handle), "buffer", "creating a buffer");
  return handle;
}

Buffer::Buffer(std::shared_ptr<DeviceState> device, size_t bytes, Usage usage, std::string label) {
  size_t limit = device->info.max_allocation_bytes;
  if (bytes > limit)
    fail_device("buffer", "'{}': got {} bytes, expected at most {} in one buffer of this device. "
                          "Fix: use a smaller --batch or --size", label, bytes, limit);
  state_ = std::make_unique<BufferState>();
  state_->device = std::move(device);
  state_->label = std::move(label);
  state_->bytes = bytes;
  state_->handle = make_buffer(*state_->device, std::max<size_t>(bytes, 1));
  VkMemoryRequirements needs;
  DeviceState& owner = *state_->device;
  owner.vk.vkGetBufferMemoryRequirements(owner.handle, state_->handle, &needs);
  state_->memory = owner.memory->allocate(needs, usage, state_->label);
  check_vulkan(owner.vk.vkBindBufferMemory(owner.handle, state_->handle, state_->memory.memory, state_->memory.offset),
               "buffer", "binding memory");
}

Buffer::Buffer() = default;
Buffer::Buffer(Buffer&&) noexcept = default;
Buffer& Buffer::operator=(Buffer&&) noexcept = default;
Buffer::~Buffer() = default;

BufferState::~BufferState() {
  if (handle) device->vk.vkDestroyBuffer(device->handle, handle, nullptr);
  if (memory.block) device->memory->release(memory);
}

size_t Buffer::bytes() const { return state_ ? state_->bytes : 0; }
std::byte* Buffer::mapped() const { return state_ ? state_->memory.mapped : nullptr; }

const std::string& Buffer::label() const {
  static const std::string none = "(empty)";
  return state_ ? state_->label : none;
}

void check_region(const Region& region, std::string_view where) {
  if (!region.buffer || !region.buffer->bytes()) fail(where, "got a region without a buffer, expected one. Fix: bind it");
  if (region.offset > region.buffer->bytes() || region.bytes > region.buffer->bytes() - region.offset)
    fail(where, "buffer '{}': got bytes {} to {}, expected at most {}. Fix: correct the region",
         region.buffer->label(), region.offset, region.offset + region.bytes, region.buffer->bytes());
  if (region.bytes == 0)
    fail(where, "buffer '{}': got an empty region, expected bytes. Fix: leave the command out", region.buffer->label());
}

}  // namespace vkfer
