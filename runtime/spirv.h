#pragma once
// The shader is the interface: bindings, push constants and workgroup size are read from the SPIR-V itself
// (as in zeux's niagara), so nothing about a kernel is written down twice.
// Source: the SPIR-V specification, sections 2.3 (physical layout) and 3.
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vkfer {

struct SpirvBinding {
  uint32_t number = 0;
  bool read = true, written = true;  // NonWritable: not written; NonReadable: not read
  bool texel = false;                // a uniform texel buffer, else a storage buffer
};

struct SpirvModule {
  std::vector<SpirvBinding> bindings;  // ascending; variables that share a number are merged
  uint32_t push_bytes = 0;
  std::array<uint32_t, 3> local_size{1, 1, 1};  // values before specialization
  std::array<int, 3> local_size_id{-1, -1, -1};  // the specialization constant that replaces each, or -1
  std::vector<uint32_t> constant_ids;            // specialization constants the module has, ascending
  std::vector<uint32_t> capabilities;            // numbers of the SPIR-V specification
  bool uses_subgroups = false;
};

// Throws an Error that starts with [name] when the words are not a SPIR-V compute module we understand.
SpirvModule reflect_spirv(std::string_view name, std::span<const uint32_t> words);

}  // namespace vkfer
