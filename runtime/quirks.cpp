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
    // Intel's discrete GPUs before Xe2 (the Arc A series, subgroups from 8) are slower with cooperative matrices than without.
    {.driver_id = VK_DRIVER_ID_INTEL_OPEN_SOURCE_MESA,
     .any_type = false,
     .type = DeviceType::discrete,
     .most_subgroup = 8,
     .disable = "cooperative_matrix",
     .issue = "https://github.com/ggml-org/llama.cpp/pull/14001"},
    {.driver_id = VK_DRIVER_ID_INTEL_PROPRIETARY_WINDOWS,
     .any_type = false,
     .type = DeviceType::discrete,
     .most_subgroup = 8,
     .disable = "cooperative_matrix",
     .issue = "https://github.com/ggml-org/llama.cpp/pull/24404"},
    // lavapipe takes 8x8 matrices to have as many rows as a subgroup has lanes: with 16 (LP_NATIVE_VECTOR_WIDTH=512) compiling crashes.
    {.driver_id = VK_DRIVER_ID_MESA_LLVMPIPE,
     .least_subgroup = 9,
     .disable = "cooperative_matrix",
     .issue = "https://gitlab.freedesktop.org/mesa/mesa/-/blob/main/src/gallium/frontends/lavapipe/nir/"
              "lvp_nir_lower_cooperative_matrix.c"},
};

std::span<const Quirk> quirks() { return kQuirks; }

void apply_quirks(DeviceInfo& info, std::span<const Quirk> table) {
  for (const Quirk& quirk : table) {
    bool version = quirk.first_version <= info.driver_version && info.driver_version <= quirk.last_version;
    if (quirk.driver_id == info.driver_id && version && (quirk.any_type || quirk.type == info.type) &&
        quirk.least_subgroup <= info.min_subgroup_size && info.min_subgroup_size <= quirk.most_subgroup)
      disable_features(info, quirk.disable);
  }
}

}  // namespace vkfer
