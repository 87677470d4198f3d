#include "tools/cli/class_names.h"

#include <filesystem>
#include <fstream>

#include "runtime/error.h"
#include "tools/data/csv.h"

namespace vkfer {

namespace fs = std::filesystem;

std::vector<std::string> read_class_names(const std::string& where) {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::is_regular_file(where, error)) {
    for (const std::string_view name : split_at(',', where)) names.emplace_back(name);
  } else {
    constexpr size_t kMaxBytes = 16 << 20;
    if (fs::file_size(where, error) > kMaxBytes) fail("--classes", "{}: more than {} bytes, expected one name a line", where, kMaxBytes);
    std::ifstream file(where);
    for (std::string line; std::getline(file, line);) {
      if (line.ends_with('\r')) line.pop_back();
      names.push_back(line);
    }
  }
  for (const std::string& name : names)
    if (name.empty()) fail("--classes", "{}: name {} is empty", where, &name - names.data() + 1);
  return names;
}

}  // namespace vkfer
