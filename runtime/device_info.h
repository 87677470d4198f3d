#pragma once
// What a Vulkan device can do, as plain data: no Vulkan type appears, so plans and tests can make one up.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

enum class DeviceType { discrete, integrated, virtual_gpu, cpu, other };
std::string_view to_string(DeviceType);

// A cooperative matrix product: m x k times k x n.
struct MatrixShape {
  uint32_t m = 0, n = 0, k = 0;
};

struct DeviceInfo {
  std::string name, driver_name, driver_info, api_version;
  std::string uuid;                                          // 32 hex digits
  uint32_t vendor_id = 0, device_id = 0, driver_version = 0;  // driver_version: in the vendor's own packing
  uint32_t driver_id = 0;                                     // VkDriverId
  DeviceType type = DeviceType::other;
  std::string rejected;  // why the device cannot be used; empty when it can

  // Limits. Bytes unless the name says otherwise.
  size_t max_storage_range = 128u << 20;  // one bound range
  size_t max_allocation_bytes = 1u << 30;  // one buffer
  size_t storage_alignment = 256;          // offset of a bound storage range
  size_t texel_alignment = 256;            // offset of a bound texel view
  size_t max_texel_elements = 65536;       // texels per view
  size_t shared_memory_bytes = 16384;      // per workgroup
  uint32_t max_invocations = 128;          // per workgroup
  std::array<uint32_t, 3> max_workgroup{128, 128, 64};
  std::array<uint32_t, 3> max_groups{65535, 65535, 65535};
  uint32_t max_push_bytes = 128;
  uint32_t max_storage_bindings = 4, max_texel_bindings = 16;  // per kernel
  size_t heap_bytes = 0;                                       // the largest device-local heap
  uint32_t cores = 0;                                          // that run workgroups; 0: the driver does not say
  uint32_t subgroup_size = 1, min_subgroup_size = 1, max_subgroup_size = 1;
  double timestamp_period_ns = 0;
  uint32_t timestamp_valid_bits = 0;  // 0: no timestamps

  // Features. VKFER_DISABLE=name,name,... in the environment switches any of them off (for tests and for bad drivers).
  bool storage_16bit = false, storage_8bit = false;  // 16- and 8-bit types in storage buffers
  bool shader_float16 = false, shader_int16 = false, shader_int8 = false;  // arithmetic
  bool scalar_layout = false;
  bool subgroup_shuffle = false, subgroup_ballot = false, subgroup_arithmetic = false;  // in compute shaders
  bool subgroup_size_control = false, full_subgroups = false;
  bool cooperative_matrix = false;  // VK_KHR_cooperative_matrix
  std::vector<MatrixShape> matrix_shapes;  // of a subgroup, 16-bit operands, f32 sums; only with cooperative_matrix
  bool memory_budget = false;
  bool unified_memory = false;  // the device's memory is the host's: every buffer is mapped
  bool texel_loads = false;     // loads through texel buffers are faster, right, and fit every storage range
  bool scalar_loads = false;    // known to turn a load at one address for a whole workgroup into a scalar load

  // Names of the features switched off by a driver quirk or by the environment.
  std::vector<std::string> disabled;
};

struct DeviceFeature {
  std::string_view name;
  bool DeviceInfo::*flag;
};
std::span<const DeviceFeature> device_features();  // every feature of DeviceInfo by name

// Every Vulkan device, best first: usable before rejected, then discrete > integrated > virtual > cpu.
// Throws Error(device) when there is no Vulkan at all. The position is the index that DeviceChoice::query takes.
std::vector<DeviceInfo> list_devices();

// The position in `devices` that `query` names: "" the best, an index, part of a name (any case) or a UUID.
// Throws an Error that lists every device and why each was rejected.
size_t choose_device(std::span<const DeviceInfo> devices, std::string_view query);

// One line for people when the device is a CPU driver; empty otherwise.
std::string driver_notice(const DeviceInfo&);

// Clears the features named in `names` ("a,b,c"). Throws an Error for an unknown name.
void disable_features(DeviceInfo&, std::string_view names);

}  // namespace vkfer
