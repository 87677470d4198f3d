#pragma once
// What `vkfer tune` found on a device, kept in the cache folder as a JSON file that people can read. It serves only where
// everything it was found with is the same: device, driver, shaders and the device's profile; and only as it was written,
// which a checksum tells. Anything else is ignored with one notice: a plan without tuning is as right, only slower.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "graph/op.h"
#include "runtime/device_info.h"

namespace vkfer {

struct TunedEntry {
  std::string problem;               // Problem::key()
  Attrs choice;                      // empty: the defaults were the fastest
  double milliseconds = 0, default_milliseconds = 0;
};

using Notice = std::function<void(const std::string&)>;   // may be empty

std::filesystem::path tuning_path(const DeviceInfo&);     // empty when there is no cache folder
// Of a file that is absent, damaged, or of another device, driver, build or profile: nothing.
std::vector<TunedEntry> read_tuning(const std::filesystem::path&, const DeviceInfo&, const Target& profile, const Notice& notice = {});
// Merged with what the file holds already, new entries first.
void write_tuning(const std::filesystem::path&, const DeviceInfo&, const Target& profile, const std::vector<TunedEntry>&);

// The device's profile with its tuning. VKFER_TUNING=0 in the environment leaves the tuning out.
Target tuned_target(const DeviceInfo&, const Notice& notice = {});

}  // namespace vkfer
