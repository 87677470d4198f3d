#pragma once
// The SPIR-V modules built from shaders/*.comp, embedded in the program. A module is named "<file stem>.<variant>",
// for example "copy.f32". The words live as long as the program.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vkfer {

std::span<const uint32_t> find_shader(std::string_view name);  // empty when there is no such module
std::vector<std::string_view> shader_names();                  // sorted

}  // namespace vkfer
