#include <algorithm>
#include <cstring>

#include "runtime/cooperative_matrix.h"
#include "runtime/instance.h"

namespace vkfer {

bool has_extension(VkPhysicalDevice device, const char* name) {
  uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, all.data());
  return std::ranges::any_of(all, [&](auto& each) { return !std::strcmp(each.extensionName, name); });
}

static std::vector<VkQueueFamilyProperties> queue_families(VkPhysicalDevice device) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  return families;
}

int compute_family(VkPhysicalDevice device) {
  auto families = queue_families(device);
  auto found = std::ranges::find_if(families, [](auto& each) { return each.queueFlags & VK_QUEUE_COMPUTE_BIT; });
  return found == families.end() ? -1 : int(found - families.begin());
}

static DeviceType device_type(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return DeviceType::discrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return DeviceType::integrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return DeviceType::virtual_gpu;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return DeviceType::cpu;
    default: return DeviceType::other;
  }
}

static void read_limits(DeviceInfo& info, const VkPhysicalDeviceLimits& limits) {
  info.max_storage_range = limits.maxStorageBufferRange;
  info.storage_alignment = limits.minStorageBufferOffsetAlignment;
  info.texel_alignment = limits.minTexelBufferOffsetAlignment;
  info.max_texel_elements = limits.maxTexelBufferElements;
  info.shared_memory_bytes = limits.maxComputeSharedMemorySize;
  info.max_invocations = limits.maxComputeWorkGroupInvocations;
  std::copy_n(limits.maxComputeWorkGroupSize, 3, info.max_workgroup.begin());
  std::copy_n(limits.maxComputeWorkGroupCount, 3, info.max_groups.begin());
  info.max_push_bytes = limits.maxPushConstantsSize;
  info.max_storage_bindings = limits.maxPerStageDescriptorStorageBuffers;
  info.max_texel_bindings = limits.maxPerStageDescriptorSampledImages;
  info.timestamp_period_ns = limits.timestampPeriod;
}

static void read_memory(DeviceInfo& info, VkPhysicalDevice device) {
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(device, &memory);
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i)
    if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
      info.heap_bytes = std::max<size_t>(info.heap_bytes, memory.memoryHeaps[i].size);
  // A discrete GPU's mappable window is slow for the host to read: only shared memory counts as unified.
  bool shared = info.type == DeviceType::cpu || info.type == DeviceType::integrated;
  constexpr VkMemoryPropertyFlags kAll = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryType& type = memory.memoryTypes[i];
    bool largest = memory.memoryHeaps[type.heapIndex].size == info.heap_bytes;
    info.unified_memory |= shared && largest && (type.propertyFlags & kAll) == kAll;
  }
}

static void read_features(DeviceInfo& info, VkPhysicalDevice device, uint32_t api) {
  VkPhysicalDeviceFeatures2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  all.pNext = &v11;
  v11.pNext = &v12;
  if (api >= VK_API_VERSION_1_3 || has_extension(device, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) v12.pNext = &sizes;
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, all.pNext, VK_FALSE, VK_FALSE};
  if (has_extension(device, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) all.pNext = &matrix;
  vkGetPhysicalDeviceFeatures2(device, &all);
  info.storage_16bit = v11.storageBuffer16BitAccess;
  info.storage_8bit = v12.storageBuffer8BitAccess;
  info.shader_float16 = v12.shaderFloat16;
  info.shader_int16 = all.features.shaderInt16;
  info.shader_int8 = v12.shaderInt8;
  info.scalar_layout = v12.scalarBlockLayout;
  info.subgroup_size_control = sizes.subgroupSizeControl;
  info.full_subgroups = sizes.computeFullSubgroups;
  info.cooperative_matrix = matrix.cooperativeMatrix && v12.vulkanMemoryModel;
  info.memory_budget = has_extension(device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}

static void read_properties(DeviceInfo& info, VkPhysicalDevice device) {
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  VkPhysicalDeviceVulkan11Properties v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
  VkPhysicalDeviceVulkan12Properties v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
  VkPhysicalDeviceSubgroupSizeControlProperties sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
  all.pNext = &v11;
  v11.pNext = &v12;
  if (info.subgroup_size_control) v12.pNext = &sizes;
  VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nvidia{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
  VkPhysicalDeviceShaderCorePropertiesAMD amd{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD};
  if (has_extension(device, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME)) nvidia.pNext = all.pNext, all.pNext = &nvidia;
  if (has_extension(device, VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME)) amd.pNext = all.pNext, all.pNext = &amd;
  vkGetPhysicalDeviceProperties2(device, &all);
  info.cores = nvidia.shaderSMCount + amd.shaderEngineCount * amd.shaderArraysPerEngineCount * amd.computeUnitsPerShaderArray;
  info.driver_name = v12.driverName;
  info.driver_info = v12.driverInfo;
  info.driver_id = v12.driverID;
  for (uint8_t byte : v11.deviceUUID) info.uuid += fmt::format("{:02x}", byte);
  info.max_allocation_bytes = v11.maxMemoryAllocationSize;
  info.subgroup_size = info.min_subgroup_size = info.max_subgroup_size = v11.subgroupSize;
  if (info.subgroup_size_control) {
    info.min_subgroup_size = sizes.minSubgroupSize;
    info.max_subgroup_size = sizes.maxSubgroupSize;
    info.subgroup_size_control = sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT;
  }
  if (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) {
    info.subgroup_shuffle = v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    info.subgroup_ballot = v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT;
    info.subgroup_arithmetic = v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
  }
}

// What is known of CPU drivers by measuring.
static void read_profile(DeviceInfo& info) {
  const bool llvmpipe = info.driver_id == VK_DRIVER_ID_MESA_LLVMPIPE;
  // Up to 25.0 a load at one address within a loop is a gather of as many equal addresses (measured with 22.3.6).
  info.scalar_loads = llvmpipe && info.driver_version >= VK_MAKE_API_VERSION(0, 26, 0, 0);
  // Four gathers of 32 bits become eight loads of 128. With vectors of 512 bits (LP_NATIVE_VECTOR_WIDTH) llvmpipe 26.1.6 fetches
  // wrong values from buffers of 128-bit texels, with 128 bits it crashes.
  constexpr size_t kTexelBytes = 16;
  info.texel_loads = llvmpipe && info.subgroup_size == 8 && info.max_texel_elements >= info.max_storage_range / kTexelBytes;
}

std::vector<MatrixShape> query_matrix_shapes(VkInstance instance, VkPhysicalDevice device) {
  auto query = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
      vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  uint32_t count = 0;
  if (!query || query(device, &count, nullptr) != VK_SUCCESS) return {};
  std::vector<VkCooperativeMatrixPropertiesKHR> all(count);
  for (auto& each : all) each = {}, each.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
  if (query(device, &count, all.data()) != VK_SUCCESS) return {};
  std::vector<MatrixShape> shapes;
  for (const auto& each : all)
    if (each.scope == VK_SCOPE_SUBGROUP_KHR && each.AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
        each.BType == VK_COMPONENT_TYPE_FLOAT16_KHR && each.CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
        each.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR)
      shapes.push_back({each.MSize, each.NSize, each.KSize});
  return shapes;
}

DeviceInfo query_device(VkPhysicalDevice device) {
  VkPhysicalDeviceProperties base;
  vkGetPhysicalDeviceProperties(device, &base);
  DeviceInfo info;
  info.name = base.deviceName;
  info.type = device_type(base.deviceType);
  info.vendor_id = base.vendorID;
  info.device_id = base.deviceID;
  info.driver_version = base.driverVersion;
  info.api_version = fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(base.apiVersion),
                                 VK_API_VERSION_MINOR(base.apiVersion), VK_API_VERSION_PATCH(base.apiVersion));
  read_limits(info, base.limits);
  read_memory(info, device);
  if (base.apiVersion < VK_API_VERSION_1_2) {
    info.rejected = fmt::format("its driver offers Vulkan {}, 1.2 is needed", info.api_version);
    return info;
  }
  read_features(info, device, base.apiVersion);
  read_properties(info, device);
  read_profile(info);
  int family = compute_family(device);
  if (family < 0) info.rejected = "it has no queue for compute";
  else info.timestamp_valid_bits = queue_families(device)[size_t(family)].timestampValidBits;
  return info;
}

}  // namespace vkfer
