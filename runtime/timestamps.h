#pragma once
// Internal to runtime/: the timestamps of one stream.
#include <string>
#include <vector>

#include "runtime/command_stream.h"
#include "runtime/vulkan.h"

namespace vkfer {

class Timestamps {
 public:
  explicit Timestamps(DeviceState& device) : device_(device) {}
  ~Timestamps();
  Timestamps(const Timestamps&) = delete;

  void write(VkCommandBuffer, std::string label);  // nothing where the device has no timestamps
  std::vector<Timing> read() const;                // once the commands have run

 private:
  DeviceState& device_;
  std::vector<VkQueryPool> pools_;
  std::vector<std::string> labels_;
};

}  // namespace vkfer
