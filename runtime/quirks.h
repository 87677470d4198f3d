#pragma once
// Bugs of drivers that we work around, as a table: what to switch off, where, and the public issue that says why.
#include <span>
#include <string_view>

#include "runtime/device_info.h"

namespace vkfer {

struct Quirk {
  uint32_t driver_id;                          // VkDriverId
  uint32_t first_version = 0, last_version = ~0u;  // driver_version, in the vendor's packing, both included
  bool any_type = true;
  DeviceType type = DeviceType::other;  // when not any_type
  uint32_t least_subgroup = 0, most_subgroup = ~0u;  // min_subgroup_size, both included
  std::string_view disable;             // names of features, "a,b"
  std::string_view issue;
};

std::span<const Quirk> quirks();
void apply_quirks(DeviceInfo&, std::span<const Quirk> = quirks());

}  // namespace vkfer
