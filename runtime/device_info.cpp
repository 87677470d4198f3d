#include "runtime/device_info.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "runtime/error.h"

namespace vkfer {

static constexpr DeviceFeature kFeatures[] = {
    {"storage_16bit", &DeviceInfo::storage_16bit},
    {"storage_8bit", &DeviceInfo::storage_8bit},
    {"shader_float16", &DeviceInfo::shader_float16},
    {"shader_int16", &DeviceInfo::shader_int16},
    {"shader_int8", &DeviceInfo::shader_int8},
    {"scalar_layout", &DeviceInfo::scalar_layout},
    {"subgroup_shuffle", &DeviceInfo::subgroup_shuffle},
    {"subgroup_ballot", &DeviceInfo::subgroup_ballot},
    {"scalar_loads", &DeviceInfo::scalar_loads},
    {"texel_loads", &DeviceInfo::texel_loads},
    {"subgroup_arithmetic", &DeviceInfo::subgroup_arithmetic},
    {"subgroup_size_control", &DeviceInfo::subgroup_size_control},
    {"full_subgroups", &DeviceInfo::full_subgroups},
    {"cooperative_matrix", &DeviceInfo::cooperative_matrix},
    {"memory_budget", &DeviceInfo::memory_budget},
    {"unified_memory", &DeviceInfo::unified_memory},
};

std::span<const DeviceFeature> device_features() { return kFeatures; }

std::string_view to_string(DeviceType type) {
  switch (type) {
    case DeviceType::discrete: return "discrete";
    case DeviceType::integrated: return "integrated";
    case DeviceType::virtual_gpu: return "virtual";
    case DeviceType::cpu: return "cpu";
    case DeviceType::other: break;
  }
  return "other";
}

std::string driver_notice(const DeviceInfo& info) {
  if (info.type != DeviceType::cpu) return {};
  return fmt::format("no GPU in use: {} computes on the CPU ({} {}); everything works, only slower", info.name,
                     info.driver_name, info.driver_info);
}

void disable_features(DeviceInfo& info, std::string_view names) {
  while (!names.empty()) {
    std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    if (name.empty()) continue;
    auto feature = std::ranges::find(kFeatures, name, &DeviceFeature::name);
    if (feature == std::end(kFeatures)) {
      std::string known;
      for (const DeviceFeature& each : kFeatures) known += fmt::format(" {}", each.name);
      fail("VKFER_DISABLE", "got '{}', expected names of features. Fix: choose from:{}", name, known);
    }
    if (!(info.*feature->flag)) continue;
    info.*feature->flag = false;
    info.disabled.emplace_back(name);
  }
}

static std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = char(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

static bool matches(const DeviceInfo& info, size_t index, const std::string& query) {
  size_t number = 0;
  auto [end, error] = std::from_chars(query.data(), query.data() + query.size(), number);
  bool is_index = error == std::errc{} && end == query.data() + query.size() && query.size() < 8;
  if (is_index && number == index) return true;
  std::string uuid = query;
  std::erase(uuid, '-');
  if (uuid == info.uuid) return true;
  return !is_index && lower(info.name).find(query) != std::string::npos;
}

size_t choose_device(std::span<const DeviceInfo> devices, std::string_view query) {
  std::string wanted = lower(query), listing;
  size_t rejected = devices.size();
  for (size_t i = 0; i < devices.size(); ++i) {
    const DeviceInfo& info = devices[i];
    if (query.empty() || matches(info, i, wanted)) {
      if (info.rejected.empty()) return i;
      rejected = std::min(rejected, i);
    }
    listing += fmt::format("\n  {} {} ({}, {}, uuid {}){}{}", i, info.name, to_string(info.type), info.driver_name,
                           info.uuid, info.rejected.empty() ? "" : ": rejected, ", info.rejected);
  }
  if (devices.empty()) listing = "\n  (none)";
  if (query.empty())
    fail_device("device", "got no usable Vulkan device, expected one. Fix: install or update a driver; found:{}", listing);
  if (rejected < devices.size())
    fail("device", "'{}': the device cannot be used: {}. Fix: choose another; found:{}", query,
         devices[rejected].rejected, listing);
  fail("device", "'{}': no such Vulkan device. Fix: give --device an index, a part of a name or a UUID of:{}", query,
       listing);
}

}  // namespace vkfer
