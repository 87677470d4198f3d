#pragma once
// Files that a command writes, or reads while it writes: no two may be one.
#include <initializer_list>
#include <string>
#include <string_view>

namespace vkfer {

struct NamedFile {
  std::string_view option;
  const std::string& path;   // "" or "-": none
};

// Fails naming two options that name one file. `read` may be equal among each other.
void check_distinct_files(std::initializer_list<NamedFile> written, std::initializer_list<NamedFile> read = {});

}  // namespace vkfer
