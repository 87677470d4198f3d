#include "runtime/kernel.h"

#include <algorithm>

#include "runtime/device_state.h"

namespace vkfer {

// A module may not declare a capability the device lacks. Numbers of the SPIR-V specification, section 3.31.
static constexpr struct {
  uint32_t capability;
  const char* name;
  bool DeviceInfo::*feature;
} kCapabilities[] = {
    {9, "Float16", &DeviceInfo::shader_float16},
    {22, "Int16", &DeviceInfo::shader_int16},
    {39, "Int8", &DeviceInfo::shader_int8},
    {63, "GroupNonUniformArithmetic", &DeviceInfo::subgroup_arithmetic},
    {64, "GroupNonUniformBallot", &DeviceInfo::subgroup_ballot},
    {65, "GroupNonUniformShuffle", &DeviceInfo::subgroup_shuffle},
    {4433, "StorageBuffer16BitAccess", &DeviceInfo::storage_16bit},
    {4448, "StorageBuffer8BitAccess", &DeviceInfo::storage_8bit},
    {6022, "CooperativeMatrixKHR", &DeviceInfo::cooperative_matrix},
};

static void check_capabilities(const std::string& name, const SpirvModule& module, const DeviceInfo& info) {
  for (auto& row : kCapabilities)
    if (std::ranges::count(module.capabilities, row.capability) && !(info.*row.feature))
      fail_device(name, "the kernel needs {}, which {} lacks. Fix: choose an engine without it, or another --device",
                  row.name, info.name);
  auto texels = size_t(std::ranges::count(module.bindings, true, &SpirvBinding::texel));
  size_t buffers = module.bindings.size() - texels;
  if (buffers > info.max_storage_bindings || texels > info.max_texel_bindings)
    fail_device(name, "got {} storage and {} texel bindings, expected at most {} and {} on this device. "
                      "Fix: choose another engine or another --device",
                buffers, texels, info.max_storage_bindings, info.max_texel_bindings);
  if (module.push_bytes > info.max_push_bytes)
    fail_device(name, "got {} bytes of push constants, expected at most {}. Fix: choose another --device",
                module.push_bytes, info.max_push_bytes);
}

static std::array<uint32_t, 3> specialized_size(const std::string& name, const SpirvModule& module,
                                                std::span<const uint32_t> constants, const DeviceInfo& info) {
  std::array<uint32_t, 3> size = module.local_size;
  uint64_t total = 1;
  for (size_t i = 0; i < 3; ++i) {
    auto id = size_t(module.local_size_id[i]);
    if (module.local_size_id[i] >= 0 && id < constants.size()) size[i] = constants[id];
    if (size[i] == 0 || size[i] > info.max_workgroup[i])
      fail(name, "got workgroup size {} in dimension {}, expected 1 to {}. Fix: correct constant {}", size[i], i,
           info.max_workgroup[i], i);
    total *= size[i];
  }
  if (total > info.max_invocations)
    fail(name, "got {} invocations per workgroup, expected at most {} on this device. Fix: use a smaller workgroup",
         total, info.max_invocations);
  return size;
}

static void make_layouts(KernelState& state, const SpirvModule& module) {
  DeviceState& device = state.device;
  std::vector<VkDescriptorSetLayoutBinding> bindings;
  for (const SpirvBinding& each : module.bindings)
    bindings.push_back({each.number,
                        each.texel ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
                        VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
  VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, nullptr, 0,
                                      uint32_t(bindings.size()), bindings.data()};
  check_vulkan(device.vk.vkCreateDescriptorSetLayout(device.handle, &set, nullptr, &state.set_layout), "kernel",
               "creating a descriptor layout");
  VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, (module.push_bytes + 3) / 4 * 4};
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &state.set_layout;
  layout.pushConstantRangeCount = push.size ? 1 : 0;
  layout.pPushConstantRanges = &push;
  check_vulkan(device.vk.vkCreatePipelineLayout(device.handle, &layout, nullptr, &state.layout), "kernel",
               "creating a pipeline layout");
}

static void make_pipeline(KernelState& state, const Kernel& kernel, std::span<const uint32_t> spirv,
                          const SpirvModule& module) {
  DeviceState& device = state.device;
  std::vector<VkSpecializationMapEntry> entries;
  for (uint32_t id : module.constant_ids)
    if (id < kernel.constants().size()) entries.push_back({id, id * 4, 4});
  VkSpecializationInfo constants{uint32_t(entries.size()), entries.data(), kernel.constants().size_bytes(),
                                 kernel.constants().data()};
  VkShaderModuleCreateInfo shader{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, nullptr, 0, spirv.size_bytes(),
                                  spirv.data()};
  VkShaderModule handle = VK_NULL_HANDLE;
  check_vulkan(device.vk.vkCreateShaderModule(device.handle, &shader, nullptr, &handle), kernel.name(),
               "creating a shader module");
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, nullptr, device.info.subgroup_size};
  bool fixed = module.uses_subgroups && device.info.subgroup_size_control;
  bool full = fixed && device.info.full_subgroups && kernel.local_size()[0] % device.info.subgroup_size == 0;
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.layout = state.layout;
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, fixed ? &subgroup : nullptr,
                full ? VkPipelineShaderStageCreateFlags(VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT) : 0,
                VK_SHADER_STAGE_COMPUTE_BIT, handle, "main", &constants};
  VkResult result = device.vk.vkCreateComputePipelines(device.handle, device.cache->handle(), 1, &info, nullptr,
                                                       &state.pipeline);
  device.vk.vkDestroyShaderModule(device.handle, handle, nullptr);
  check_vulkan(result, kernel.name(), "compiling the kernel");
}

Kernel::Kernel(DeviceState& device, std::string name, std::span<const uint32_t> spirv, std::vector<uint32_t> constants)
    : name_(std::move(name)),
      constants_(std::move(constants)),
      module_(reflect_spirv(name_, spirv)),
      local_size_(specialized_size(name_, module_, constants_, device.info)),
      texel_bytes_(name_.find(".f16") != std::string::npos ? 8 : 16),
      state_(std::make_unique<KernelState>(device)) {
  check_capabilities(name_, module_, device.info);
  make_layouts(*state_, module_);
  make_pipeline(*state_, *this, spirv, module_);
}

Kernel::~Kernel() = default;

KernelState::~KernelState() {
  device.vk.vkDestroyPipeline(device.handle, pipeline, nullptr);
  device.vk.vkDestroyPipelineLayout(device.handle, layout, nullptr);
  device.vk.vkDestroyDescriptorSetLayout(device.handle, set_layout, nullptr);
}

}  // namespace vkfer
