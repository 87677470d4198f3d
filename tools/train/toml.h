#pragma once
// TOML files as plain data that remembers its lines. Files are untrusted: they are small, shallow and valid, or there is an Error.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vkfer {

struct TomlEntry;

struct TomlValue {
  enum class Kind : uint8_t { text, integer, real, boolean, date, array, table };
  Kind kind = Kind::table;
  int line = 1;
  std::string text;
  int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  std::vector<TomlValue> items;                               // array
  std::vector<TomlEntry> entries;                             // table, in the order of the file

  const TomlValue* find(std::string_view key) const;          // of a table; null when it is not there
  std::string describe() const;                               // for messages: "0.5", "\"text\"", "a list"
};

struct TomlEntry {
  std::string first;                                          // the key
  TomlValue second;
};

// `name` is how messages call the text: "recipes/x.toml".
TomlValue parse_toml(std::string_view text, const std::string& name);

}  // namespace vkfer
