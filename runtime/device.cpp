#include "runtime/device.h"

#include <cstdlib>
#include <cstring>

#include "runtime/cooperative_matrix.h"
#include "runtime/device_state.h"
#include "shaders/embedded.h"

namespace vkfer {

// Switches on what DeviceInfo says is there (after quirks and VKFER_DISABLE), and nothing else.
static void create_device(DeviceState& state) {
  const DeviceInfo& info = state.info;
  VkPhysicalDeviceFeatures2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  std::vector<const char*> extensions;
  auto extend = [&](const char* name) {
    bool there = has_extension(state.physical, name);
    if (there) extensions.push_back(name);
    return there;
  };
  all.pNext = &v11;
  v11.pNext = &v12;
  all.features.shaderInt16 = info.shader_int16;
  v11.storageBuffer16BitAccess = info.storage_16bit;
  v12.storageBuffer8BitAccess = info.storage_8bit;
  v12.shaderFloat16 = info.shader_float16;
  v12.shaderInt8 = info.shader_int8;
  v12.scalarBlockLayout = info.scalar_layout;
  sizes.subgroupSizeControl = info.subgroup_size_control;
  sizes.computeFullSubgroups = info.full_subgroups;
  if (info.subgroup_size_control || info.full_subgroups) {
    extend(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);  // also where 1.3 made it core: 1.2 layers want to see it
    v12.pNext = &sizes;
  }
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, all.pNext, VK_TRUE, VK_FALSE};
  if (info.cooperative_matrix && extend(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) {
    v12.vulkanMemoryModel = VK_TRUE;
    all.pNext = &matrix;
  }
  if (info.memory_budget) extend(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  extend("VK_KHR_portability_subset");  // must be on where it exists
  float priority = 1;
  state.family = uint32_t(compute_family(state.physical));
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, nullptr, 0, state.family, 1, &priority};
  VkDeviceCreateInfo create{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &all};
  create.queueCreateInfoCount = 1;
  create.pQueueCreateInfos = &queue;
  create.enabledExtensionCount = uint32_t(extensions.size());
  create.ppEnabledExtensionNames = extensions.data();
  check_vulkan(vkCreateDevice(state.physical, &create, nullptr, &state.handle), info.name, "opening the device");
  volkLoadDeviceTable(&state.vk, state.handle);
  state.vk.vkGetDeviceQueue(state.handle, state.family, 0, &state.queue);
}

Device::Device(const DeviceChoice& choice) : state_(std::make_shared<DeviceState>()) {
  const char* environment = std::getenv("VKFER_VALIDATION");
  std::string wish = environment ? environment : VKFER_VALIDATION_DEFAULT;  // set by the build: "1" in preset dev
  bool sync = choice.sync_validation || wish == "sync";
  bool validation = choice.validation || sync || (!wish.empty() && wish != "0");
  state_->instance = std::make_unique<Instance>(validation, sync);
  std::vector<Instance::Found> found = state_->instance->devices();
  std::vector<DeviceInfo> infos;
  for (auto& each : found) infos.push_back(each.info);
  size_t index = choose_device(infos, choice.query);
  state_->physical = found[index].handle;
  state_->info = infos[index];
  create_device(*state_);
  state_->memory = std::make_unique<MemoryPool>(state_->vk, state_->handle, state_->physical, state_->info);
  state_->cache = std::make_unique<PipelineCache>(state_->vk, state_->handle, state_->physical, state_->info);
}

DeviceState::~DeviceState() {
  if (!handle) return;
  vk.vkDeviceWaitIdle(handle);
  if (cache && !kernels.empty()) cache->save();
  kernels.clear();
  staging.reset();
  cache.reset();
  memory.reset();
  vk.vkDestroyDevice(handle, nullptr);
}

void DeviceState::submit(VkCommandBuffer commands, VkFence fence) {
  VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands;
  std::lock_guard lock(queue_mutex);
  check_vulkan(vk.vkQueueSubmit(queue, 1, &info, fence), this->info.name, "submitting work");
}

const DeviceInfo& Device::info() const { return state_->info; }

Buffer Device::buffer(size_t bytes, Usage usage, std::string_view label) {
  return Buffer(state_, bytes, usage, std::string(label));
}

bool has_module(std::string_view name) { return !find_shader(name).empty(); }

const Kernel& Device::kernel(std::string_view module, std::span<const uint32_t> constants) {
  std::pair key(std::string(module), std::vector<uint32_t>(constants.begin(), constants.end()));
  std::lock_guard lock(state_->kernel_mutex);
  auto found = state_->kernels.find(key);
  if (found != state_->kernels.end()) return *found->second;
  std::span<const uint32_t> spirv = find_shader(module);
  if (spirv.empty())
    fail("kernel", "'{}': no such module in this build. Fix: build with a newer glslang, or choose another engine",
         module);
  auto kernel = std::make_unique<Kernel>(*state_, key.first, spirv, key.second);
  return *state_->kernels.emplace(std::move(key), std::move(kernel)).first->second;
}

CommandStream Device::stream() { return CommandStream(state_); }

static void check_copy(const Region& region, size_t bytes, std::string_view where) {
  check_region(region, where);
  if (region.bytes != bytes)
    fail(where, "buffer '{}': got {} bytes of host memory for a region of {}, expected the same. Fix: correct the size",
         region.buffer->label(), bytes, region.bytes);
}

static Staging& staging_of(DeviceState& state) {
  if (!state.staging) state.staging = std::make_unique<Staging>(state);
  return *state.staging;
}

void Device::upload(Region to, std::span<const std::byte> from) {
  if (to.bytes == 0 && from.empty()) return;
  check_copy(to, from.size(), "upload");
  if (std::byte* mapped = to.buffer->mapped()) {
    std::memcpy(mapped + to.offset, from.data(), from.size());
    return;
  }
  std::lock_guard lock(state_->staging_mutex);
  staging_of(*state_).upload(to, from);
}

void Device::download(Region from, std::span<std::byte> to) {
  if (from.bytes == 0 && to.empty()) return;
  check_copy(from, to.size(), "download");
  if (std::byte* mapped = from.buffer->mapped()) {
    std::memcpy(to.data(), mapped + from.offset, to.size());
    return;
  }
  std::lock_guard lock(state_->staging_mutex);
  staging_of(*state_).download(from, to);
}

size_t Device::allocated_bytes() const { return state_->memory->bytes(); }
size_t Device::peak_allocated_bytes() const { return state_->memory->peak_bytes(); }
std::vector<std::string> Device::validation_messages() const { return state_->instance->messages(); }

}  // namespace vkfer
