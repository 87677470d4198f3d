#include "runtime/descriptors.h"

#include "runtime/device_state.h"

namespace vkfer {

static constexpr uint32_t kSetsPerPool = 256;

Descriptors::~Descriptors() {
  for (auto& [key, view] : views_) device_.vk.vkDestroyBufferView(device_.handle, view, nullptr);
  for (VkDescriptorPool pool : pools_) device_.vk.vkDestroyDescriptorPool(device_.handle, pool, nullptr);
}

VkDescriptorSet Descriptors::allocate(VkDescriptorSetLayout layout) {
  for (bool fresh = pools_.empty();; fresh = true) {
    if (fresh) {
      const VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kSetsPerPool * 8},
                                            {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, kSetsPerPool * 4}};
      VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, nullptr, 0, kSetsPerPool, 2, sizes};
      VkDescriptorPool pool = VK_NULL_HANDLE;
      check_vulkan(device_.vk.vkCreateDescriptorPool(device_.handle, &info, nullptr, &pool), "stream",
                   "creating a descriptor pool");
      pools_.push_back(pool);
    }
    VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, nullptr, pools_.back(), 1, &layout};
    VkDescriptorSet set = VK_NULL_HANDLE;
    VkResult result = device_.vk.vkAllocateDescriptorSets(device_.handle, &info, &set);
    bool full = result == VK_ERROR_OUT_OF_POOL_MEMORY || result == VK_ERROR_FRAGMENTED_POOL;
    if (full && !fresh) continue;
    check_vulkan(result, "stream", "allocating a descriptor set");
    return set;
  }
}

static void check_storage(const Kernel& kernel, uint32_t number, const Region& region, const DeviceInfo& info) {
  if (region.offset % info.storage_alignment)
    fail(kernel.name(), "binding {} ('{}'): got offset {}, expected a multiple of {}. Fix: align the region", number,
         region.buffer->label(), region.offset, info.storage_alignment);
  if (region.bytes > info.max_storage_range)
    fail(kernel.name(), "binding {} ('{}'): got {} bytes, expected at most {} in one binding. Fix: bind it in slices",
         number, region.buffer->label(), region.bytes, info.max_storage_range);
}

static void check_texels(const Kernel& kernel, uint32_t number, const Region& region, const DeviceInfo& info) {
  size_t texel = kernel.texel_bytes();
  if (region.offset % info.texel_alignment || region.bytes % texel)
    fail(kernel.name(), "binding {} ('{}'): got {} bytes at offset {}, expected whole texels of {} bytes at a multiple of "
                        "{}. Fix: align the region, or use the kernel without texels",
         number, region.buffer->label(), region.bytes, region.offset, texel, info.texel_alignment);
  if (region.bytes / texel > info.max_texel_elements)
    fail(kernel.name(), "binding {} ('{}'): got {} texels, expected at most {} in one view. "
                        "Fix: use the kernel without texels, or bind it in slices",
         number, region.buffer->label(), region.bytes / texel, info.max_texel_elements);
}

VkBufferView Descriptors::view(const Kernel& kernel, const Region& region) {
  VkFormat format = kernel.texel_bytes() == 8 ? VK_FORMAT_R16G16B16A16_SFLOAT : VK_FORMAT_R32G32B32A32_SFLOAT;
  VkBuffer buffer = region.buffer->state().handle;
  VkBufferView& view = views_[{buffer, region.offset, region.bytes, format}];
  if (view) return view;
  VkBufferViewCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO, nullptr, 0, buffer, format, region.offset,
                              region.bytes};
  check_vulkan(device_.vk.vkCreateBufferView(device_.handle, &info, nullptr, &view), kernel.name(),
               "creating a texel view");
  return view;
}

VkDescriptorSet Descriptors::set(const Kernel& kernel, std::span<const Region> regions) {
  size_t count = kernel.bindings().size();
  std::vector<VkDescriptorBufferInfo> ranges(count);
  std::vector<VkBufferView> views(count);
  std::vector<VkWriteDescriptorSet> writes(count, {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET});
  for (size_t i = 0; i < count; ++i) {
    const SpirvBinding& binding = kernel.bindings()[i];
    if (binding.number >= regions.size())
      fail(kernel.name(), "got {} regions, expected one for binding {}. Fix: bind every binding", regions.size(),
           binding.number);
    const Region& region = regions[binding.number];
    check_region(region, kernel.name());
    writes[i].dstBinding = binding.number;
    writes[i].descriptorCount = 1;
    if (binding.texel) {
      check_texels(kernel, binding.number, region, device_.info);
      views[i] = view(kernel, region);
      writes[i].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
      writes[i].pTexelBufferView = &views[i];
    } else {
      check_storage(kernel, binding.number, region, device_.info);
      ranges[i] = {region.buffer->state().handle, region.offset, region.bytes};
      writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      writes[i].pBufferInfo = &ranges[i];
    }
  }
  VkDescriptorSet set = allocate(kernel.state().set_layout);
  for (VkWriteDescriptorSet& write : writes) write.dstSet = set;
  device_.vk.vkUpdateDescriptorSets(device_.handle, uint32_t(count), writes.data(), 0, nullptr);
  return set;
}

}  // namespace vkfer
