# embed(NAME MODULES BINARIES) writes NAME.S, which pulls the binaries in with .incbin (instant, whatever their size),
# and NAME.cpp, the table behind shaders/embedded.h. Both hold only names, so they change when a shader is added.
# The assembler needs no compiler cache: ccache would not see that a binary changed.
function(embed NAME MODULES BINARIES)
  set(ASSEMBLY ".section .rodata\n")
  set(DECLARATIONS "")
  set(ROWS "")
  set(INDEX 0)
  foreach(MODULE BINARY IN ZIP_LISTS MODULES BINARIES)
    string(APPEND ASSEMBLY ".balign 16\n.global vkfer_spirv_${INDEX}\nvkfer_spirv_${INDEX}:\n.incbin \"${BINARY}\"\n"
                           ".global vkfer_spirv_end_${INDEX}\nvkfer_spirv_end_${INDEX}:\n")
    string(APPEND DECLARATIONS "extern const uint32_t vkfer_spirv_${INDEX}[], vkfer_spirv_end_${INDEX}[];\n")
    string(APPEND ROWS "      {\"${MODULE}\", {vkfer_spirv_${INDEX}, vkfer_spirv_end_${INDEX}}},\n")
    math(EXPR INDEX "${INDEX} + 1")
  endforeach()
  string(APPEND ASSEMBLY ".section .note.GNU-stack,\"\",%progbits\n")
  file(CONFIGURE OUTPUT ${NAME}.S CONTENT "${ASSEMBLY}" @ONLY)
  file(CONFIGURE OUTPUT ${NAME}.cpp CONTENT [=[
#include "shaders/embedded.h"

#include <map>

extern "C" {
@DECLARATIONS@}

namespace vkfer {

static const std::map<std::string_view, std::span<const uint32_t>>& modules() {
  static const std::map<std::string_view, std::span<const uint32_t>> all{
@ROWS@  };
  return all;
}

std::span<const uint32_t> find_shader(std::string_view name) {
  auto found = modules().find(name);
  return found == modules().end() ? std::span<const uint32_t>{} : found->second;
}

std::vector<std::string_view> shader_names() {
  std::vector<std::string_view> names;
  for (const auto& [name, words] : modules()) names.push_back(name);
  return names;
}

}  // namespace vkfer
]=] @ONLY)
  set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/${NAME}.S PROPERTIES OBJECT_DEPENDS "${BINARIES}")
endfunction()
