#include "tools/train/toml.h"

#include <stdexcept>

// toml++ 3.3 asserts what hostile text breaks ("[[["), and under NDEBUG tells the compiler that it cannot be: an exception instead.
namespace {
[[noreturn]] void not_toml() { throw std::invalid_argument("this is no TOML"); }
}  // namespace
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : not_toml())
#include <toml++/toml.h>

#include <algorithm>

#include "runtime/error.h"

namespace vkfer {
namespace {

using Kind = TomlValue::Kind;

constexpr size_t kMostBytes = size_t{256} << 10;
constexpr size_t kLongestLine = 2000;  // a key of n dots is n tables, one in another, and toml++ takes them apart recursively
constexpr int kDeepest = 8;

void check_size(std::string_view text, const std::string& name) {
  if (text.size() > kMostBytes) fail("toml", "{}: {} bytes, expected {} at most", name, text.size(), kMostBytes);
  int line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end - at > kLongestLine)
      fail("toml", "{}:{}: a line of {} bytes, expected {} at most. Fix: break it; \"\"\" begins text of several lines", name, line, end - at, kLongestLine);
    at = end + 1;
  }
}

int line_of(const toml::node& node) { return int(node.source().begin.line); }

TomlValue converted(const toml::node& node, const std::string& name, int depth) {
  if (depth > kDeepest) fail("toml", "{}:{}: more than {} levels, one in another. Fix: a recipe needs two", name, line_of(node), kDeepest);
  TomlValue v;
  v.line = line_of(node);
  if (const auto* text = node.as_string()) {
    v.kind = Kind::text, v.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    v.kind = Kind::integer, v.integer = integer->get(), v.real = double(v.integer);
  } else if (const auto* real = node.as_floating_point()) {
    v.kind = Kind::real, v.real = real->get();
  } else if (const auto* boolean = node.as_boolean()) {
    v.kind = Kind::boolean, v.boolean = boolean->get();
  } else if (const auto* array = node.as_array()) {
    v.kind = Kind::array;
    for (const toml::node& item : *array) v.items.push_back(converted(item, name, depth + 1));
  } else if (const auto* table = node.as_table()) {
    std::vector<std::pair<toml::source_position, std::string>> order;  // toml++ sorts by name
    for (const auto& [key, value] : *table) order.emplace_back(key.source().begin, std::string(key.str()));
    std::ranges::stable_sort(order, [](const auto& a, const auto& b) {
      return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
    });
    for (const auto& [position, key] : order) {
      v.entries.push_back({std::string(key), converted(*table->get(key), name, depth + 1)});
      v.entries.back().second.line = int(position.line);
    }
  } else {
    v.kind = Kind::date;
  }
  return v;
}

}  // namespace

const TomlValue* TomlValue::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return &value;
  return nullptr;
}

std::string TomlValue::describe() const {
  switch (kind) {
    case Kind::text: return fmt::format("\"{}\"", text.substr(0, 100));
    case Kind::integer: return fmt::format("{}", integer);
    case Kind::real: return fmt::format("{}", real);
    case Kind::boolean: return boolean ? "true" : "false";
    case Kind::date: return "a date";
    case Kind::array: return "a list";
    case Kind::table: return "a table";
  }
  return {};
}

TomlValue parse_toml(std::string_view text, const std::string& name) {
  check_size(text, name);
  try {
    return converted(toml::parse(text, name), name, 0);
  } catch (const toml::parse_error& e) {
    fail("toml", "{}:{}: {}", name, e.source().begin.line, e.description());
  } catch (const std::invalid_argument& e) {
    fail("toml", "{}: {}", name, e.what());
  }
}

}  // namespace vkfer
