#pragma once
// The attributes of a node: a small ordered map of named numbers, lists and words. Ordered, so that it prints and
// compares the same everywhere (a plan's text goes into checkpoints).
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace vkfer {

class Attr {
 public:
  Attr(int v) : v_(int64_t(v)) {}
  Attr(int64_t v) : v_(v) {}
  Attr(bool v) : v_(int64_t(v)) {}
  Attr(double v) : v_(v) {}
  Attr(const char* v) : v_(std::string(v)) {}
  Attr(std::string v) : v_(std::move(v)) {}
  Attr(std::vector<int64_t> v) : v_(std::move(v)) {}
  Attr(std::vector<double> v) : v_(std::move(v)) {}
  const auto& variant() const { return v_; }
  friend bool operator==(const Attr&, const Attr&) = default;

 private:
  std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>> v_;
};

class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const std::string, Attr>> list) : map_(list) {}

  bool has(const std::string& name) const { return map_.count(name) != 0; }
  Attrs& set(const std::string& name, Attr value);
  // A getter without a fallback fails when the attribute is missing; all fail when it is of another kind.
  int64_t integer(const std::string& name) const;
  int64_t integer(const std::string& name, int64_t fallback) const;
  double number(const std::string& name) const;  // an integer is taken as a number
  double number(const std::string& name, double fallback) const;
  std::string text(const std::string& name, const std::string& fallback) const;
  std::vector<int64_t> integers(const std::string& name, std::vector<int64_t> fallback) const;
  std::vector<double> numbers(const std::string& name, std::vector<double> fallback) const;
  const std::map<std::string, Attr>& entries() const { return map_; }
  std::string to_string() const;  // "pad=1,1,1,1 stride=2,2"
  friend bool operator==(const Attrs&, const Attrs&) = default;

 private:
  std::map<std::string, Attr> map_;
};

}  // namespace vkfer
