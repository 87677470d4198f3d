#pragma once
// A Vulkan device that was opened. Start here: choose a device, make buffers and kernels, record a stream, replay it.
//
//   Device device({.query = "nvidia"});
//   Buffer x = device.buffer(4096, Usage::device, "x");
//   const Kernel& copy = device.kernel("copy.f32", constants);
//   CommandStream stream = device.stream();
//   stream.dispatch(copy, regions, push, {16, 1, 1});
//   stream.finish();
//   stream.submit();
//   stream.wait();
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/buffer.h"
#include "runtime/command_stream.h"
#include "runtime/device_info.h"
#include "runtime/kernel.h"

namespace vkfer {

struct DeviceState;

struct DeviceChoice {
  std::string query;        // "" the best, an index of list_devices(), part of a name (any case), or a UUID
  bool validation = false;  // also VKFER_VALIDATION=1 in the environment; =sync adds synchronization validation
  bool sync_validation = false;
};

// Thread-safe. Buffers and streams keep what they need of the device alive; kernels live as long as that.
class Device {
 public:
  explicit Device(const DeviceChoice& choice = {});  // throws: every device found, and why each was rejected

  const DeviceInfo& info() const;

  // Throws OutOfDeviceMemory, or an Error when `bytes` exceeds info().max_allocation_bytes.
  Buffer buffer(size_t bytes, Usage usage, std::string_view label);

  // `module` is a name of shaders/embedded.h. constants[i] sets specialization constant i; by convention 0, 1 and 2 are
  // the workgroup size. Cached by (module, constants): the reference stays valid.
  const Kernel& kernel(std::string_view module, std::span<const uint32_t> constants);

  CommandStream stream();

  // Synchronous copies, mapped or through a staging ring. The caller has waited for streams that use the region.
  void upload(Region to, std::span<const std::byte> from);
  void download(Region from, std::span<std::byte> to);

  size_t allocated_bytes() const;       // by this device's buffers now
  size_t peak_allocated_bytes() const;  // highest so far
  std::vector<std::string> validation_messages() const;  // errors and warnings of the validation layers so far

 private:
  std::shared_ptr<DeviceState> state_;
};

}  // namespace vkfer
