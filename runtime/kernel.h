#pragma once
// A compute pipeline and what its SPIR-V says about itself. Made and owned by Device::kernel().
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/spirv.h"

namespace vkfer {

struct DeviceState;
struct KernelState;

class Kernel {
 public:
  Kernel(DeviceState&, std::string name, std::span<const uint32_t> spirv, std::vector<uint32_t> constants);
  ~Kernel();

  const std::string& name() const { return name_; }
  std::span<const uint32_t> constants() const { return constants_; }
  // By ascending number; a number is missing when the optimiser removed a binding that nothing used.
  std::span<const SpirvBinding> bindings() const { return module_.bindings; }
  uint32_t push_bytes() const { return module_.push_bytes; }
  std::array<uint32_t, 3> local_size() const { return local_size_; }  // with the constants applied
  uint32_t texel_bytes() const { return texel_bytes_; }               // rgba32f: 16, rgba16f: 8
  KernelState& state() const { return *state_; }                      // for runtime/ only

 private:
  std::string name_;
  std::vector<uint32_t> constants_;
  SpirvModule module_;
  std::array<uint32_t, 3> local_size_;
  uint32_t texel_bytes_;
  std::unique_ptr<KernelState> state_;
};

// Was a module of this name built in? Those that need a newer glslang than the build had are not.
bool has_module(std::string_view name);

}  // namespace vkfer
