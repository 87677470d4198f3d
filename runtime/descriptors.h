#pragma once
// Internal to runtime/: descriptor sets and texel views of one stream. They live as long as the stream, because its
// recorded commands refer to them.
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "runtime/buffer.h"
#include "runtime/kernel.h"
#include "runtime/vulkan.h"

namespace vkfer {

class Descriptors {
 public:
  explicit Descriptors(DeviceState& device) : device_(device) {}
  ~Descriptors();
  Descriptors(const Descriptors&) = delete;

  // A set with region[number] at each binding the kernel has. Throws an Error when a limit of the device is broken.
  VkDescriptorSet set(const Kernel&, std::span<const Region> regions);

 private:
  VkDescriptorSet allocate(VkDescriptorSetLayout);
  VkBufferView view(const Kernel&, const Region&);

  DeviceState& device_;
  std::vector<VkDescriptorPool> pools_;  // the last one has room
  std::map<std::tuple<VkBuffer, size_t, size_t, VkFormat>, VkBufferView> views_;
};

}  // namespace vkfer
