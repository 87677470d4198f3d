#include "runtime/quirks.h"

#include "runtime/vulkan.h"

namespace vkfer {

static constexpr Quirk kQuirks[] = {
    // Asking integrated AMD GPUs for their matrix shapes crashes inside the vendor's driver.
    {.driver_id = VK_DRIVER_ID_AMD_PROPRIETARY,
     .any_type = false,
     .type = DeviceType::integrated,
     .disable = "cooperative_matrix",
     .issue = "https://github.com/GPUOpen-Drivers/AMDVLK/issues/422"},
    {.driver_id = VK_DRIVER_ID_AMD_OPEN_SOURCE,
     .any_type = false,
     .type = DeviceType::integrated,
     .disable = "cooperative_matrix",
     .issue = "https://github.com/GPUOpen-Drivers/AMDVLK/issues/422"},
};

std::span<const Quirk> quirks() { return kQuirks; }

void apply_quirks(DeviceInfo& info, std::span<const Quirk> table) {
  for (const Quirk& quirk : table) {
    bool version = quirk.first_version <= info.driver_version && info.driver_version <= quirk.last_version;
    if (quirk.driver_id == info.driver_id && version && (quirk.any_type || quirk.type == info.type))
      disable_features(info, quirk.disable);
  }
}

}  // namespace vkfer
