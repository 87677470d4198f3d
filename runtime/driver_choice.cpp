#include "runtime/driver_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "runtime/cache_file.h"

namespace vkfer {
namespace {
namespace fs = std::filesystem;

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code ignored;  // a folder that does not exist is an empty one
  std::vector<fs::path> found;
  for (fs::directory_iterator at(folder, ignored), end; !ignored && at != end; at.increment(ignored)) {
    found.push_back(at->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool starts_with_digit_after(const std::string& name, std::string_view prefix) {
  return name.starts_with(prefix) && name.size() > prefix.size() && name[prefix.size()] >= '0' &&
         name[prefix.size()] <= '9';
}

// The device node a GPU's driver opens, or "" where there is none: then no hardware Vulkan device can exist.
std::string gpu_device_node() {
  for (const fs::path& node : entries_of("/dev/dri")) {
    if (starts_with_digit_after(node.filename().string(), "renderD")) return node.string();
  }
  for (const fs::path& node : entries_of("/dev")) {
    const std::string name = node.filename().string();
    if (starts_with_digit_after(name, "nvidia") || name == "dxg" || name == "mali0") return node.string();
  }
  return "";
}

std::string first_bytes(const fs::path& file) {
  char bytes[4096];
  std::ifstream in(file, std::ios::binary);
  in.read(bytes, sizeof bytes);
  return std::string(bytes, static_cast<size_t>(in.gcount()));
}

// The third number of a driver manifest's "api_version": the Vulkan headers Mesa was built with. It only grows from one
// Mesa release to the next (22.3: 230, 25.0: 305, 26.1: 354), so drivers compare without being loaded. 0: unreadable.
int headers_version(const fs::path& manifest) {
  const std::string text = first_bytes(manifest);
  const size_t key = text.find("\"api_version\"");
  int major = 0, minor = 0, patch = 0;
  if (key == std::string::npos) return 0;
  const int read = std::sscanf(text.c_str() + key + 13, " : \"%d.%d.%d", &major, &minor, &patch);
  return read == 3 ? patch : 0;
}

int system_headers_version() {
  int newest = 0;
  for (const char* folder : {"/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d"}) {
    for (const fs::path& manifest : entries_of(folder)) {
      if (manifest.filename().string().starts_with("lvp_icd")) newest = std::max(newest, headers_version(manifest));
    }
  }
  return newest;
}

std::string printable_line(const fs::path& file) {
  const std::string text = first_bytes(file);
  return std::string(text.begin(), std::find_if(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; }));
}

std::string choose() {
  for (const char* name : {"VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES", "VK_LOADER_DRIVERS_SELECT"}) {
    if (const char* value = std::getenv(name); value && *value) {
      return fmt::format("drivers as the environment says: {}={}", name, value);
    }
  }
  if (cache_folder().empty()) return "the system's drivers: no HOME, so no private lavapipe";
  const fs::path folder = cache_folder() / "lavapipe";
  const fs::path manifest = folder / "lvp_icd.json";
  std::error_code ignored;
  if (!fs::exists(manifest, ignored)) {
    return fmt::format("the system's drivers: no private lavapipe in {}", folder.string());
  }
  const int ours = headers_version(manifest), systems = system_headers_version();
  if (systems >= ours) return "the system's drivers: its Mesa is as new as the private lavapipe";

  const std::string version = printable_line(folder / "version");
  const std::string name = fmt::format("private lavapipe, Mesa {}, in {}", version, folder.string());
  if (const std::string node = gpu_device_node(); !node.empty()) {
    setenv("VK_ADD_DRIVER_FILES", manifest.c_str(), 0);
    return fmt::format("the system's drivers beside the {}: {} may be a GPU", name, node);
  }
  setenv("VK_DRIVER_FILES", manifest.c_str(), 0);
  setenv("VK_ICD_FILENAMES", manifest.c_str(), 0);  // its name in loaders before 1.3.207
  const char* systems_own = systems ? "the system's lavapipe is older" : "the system has no lavapipe";
  return fmt::format("{}: no GPU here, and {}", name, systems_own);
}

}  // namespace

const std::string& choose_driver() {
  static const std::string reason = choose();
  return reason;
}

}  // namespace vkfer
