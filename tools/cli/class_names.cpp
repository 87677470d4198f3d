#include "tools/cli/class_names.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "runtime/error.h"
#include "tools/data/csv.h"
#include "tools/data/utf8.h"

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
    if (name.empty() || !is_utf8(name)) fail("--classes", "{}: name {} is {}", where, &name - names.data() + 1, name.empty() ? "empty" : "not UTF-8");
  std::vector<std::string> sorted = names;
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end()) fail("--classes", "{}: '{}' is there twice", where, *twice);
  return names;
}

}  // namespace vkfer
