#include "graph/attrs.h"

#include "runtime/error.h"

namespace vkfer {
namespace {

struct Printer {
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const { return fmt::format("{}", v); }
  std::string operator()(const std::string& v) const { return v; }
  template <class T>
  std::string operator()(const std::vector<T>& v) const { return fmt::format("{}", fmt::join(v, ",")); }
};

template <class T>
const T& get(const std::map<std::string, Attr>& map, const std::string& name) {
  auto it = map.find(name);
  if (it == map.end()) fail("graph", "attribute '{}' is missing", name);
  const T* value = std::get_if<T>(&it->second.variant());
  if (!value) fail("graph", "attribute '{}' has the wrong kind: got {}", name, std::visit(Printer{}, it->second.variant()));
  return *value;
}

}  // namespace

Attrs& Attrs::set(const std::string& name, Attr value) {
  map_.insert_or_assign(name, std::move(value));
  return *this;
}

int64_t Attrs::integer(const std::string& name) const { return get<int64_t>(map_, name); }
int64_t Attrs::integer(const std::string& name, int64_t fallback) const { return has(name) ? integer(name) : fallback; }

double Attrs::number(const std::string& name) const {
  auto it = map_.find(name);
  if (it != map_.end())
    if (const int64_t* i = std::get_if<int64_t>(&it->second.variant())) return double(*i);
  return get<double>(map_, name);
}
double Attrs::number(const std::string& name, double fallback) const { return has(name) ? number(name) : fallback; }

std::string Attrs::text(const std::string& name, const std::string& fallback) const {
  return has(name) ? get<std::string>(map_, name) : fallback;
}
std::vector<int64_t> Attrs::integers(const std::string& name, std::vector<int64_t> fallback) const {
  return has(name) ? get<std::vector<int64_t>>(map_, name) : fallback;
}
std::vector<double> Attrs::numbers(const std::string& name, std::vector<double> fallback) const {
  return has(name) ? get<std::vector<double>>(map_, name) : fallback;
}

std::string Attrs::to_string() const {
  std::string s;
  for (const auto& [name, value] : map_) s += (s.empty() ? "" : " ") + name + "=" + std::visit(Printer{}, value.variant());
  return s;
}

}  // namespace vkfer
