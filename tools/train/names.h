#pragma once
// Looking things up by name in a table, with an answer that helps when the name is unknown.
#include <string>
#include <string_view>
#include <vector>

#include "models/registry.h"
#include "runtime/error.h"

namespace vkfer {

// [where] unknown <what> 'x': expected a, b or c. Did you mean ...
[[noreturn]] inline void fail_unknown(std::string_view where, std::string_view what, std::string_view name,
                                      const std::vector<std::string>& known) {
  std::string list;
  for (const std::string& k : known) list += (list.empty() ? "" : ", ") + k;
  const std::string near = nearest_name(name, known);
  fail(where, "unknown {} '{}': expected one of {}.{}", what, name, list,
       near.empty() ? "" : fmt::format(" Fix: did you mean '{}'?", near));
}

// The entry of `table` whose .name is `name`.
template <class Table>
const auto& find_by_name(std::string_view where, std::string_view what, const Table& table, std::string_view name) {
  for (const auto& entry : table)
    if (entry.name == name) return entry;
  std::vector<std::string> known;
  for (const auto& entry : table) known.emplace_back(entry.name);
  fail_unknown(where, what, name, known);
}

}  // namespace vkfer
