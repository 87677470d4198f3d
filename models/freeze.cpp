#include "models/freeze.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "models/registry.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr std::string_view kBlocks = "blocks:";
constexpr size_t kMostPatterns = 100, kLongestPattern = 200;

int block_count(std::string_view text) {
  const std::string_view digits = text.substr(kBlocks.size());
  int count = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (error != std::errc() || end != digits.data() + digits.size() || count < 0 || count > 10000)
    fail("--freeze", "got '{}', expected a number of blocks. Fix: --freeze blocks:4", text.substr(0, 100));
  return count;
}

void check_pattern(std::string_view pattern, std::string_view text) {
  const auto known = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("._*?-").find(c) != std::string_view::npos; };
  if (pattern.empty() || pattern.size() > kLongestPattern || !std::ranges::all_of(pattern, known))
    fail("--freeze", "got '{}', expected none, backbone, blocks:N or names of layers with * and ?. Fix: vkfer dump lists the names",
         text.substr(0, 100));
}

}  // namespace

Freeze::Freeze(std::string_view text) {
  if (text.empty() || text == "none") return;
  if (text == "backbone") {
    blocks_ = kAll;
    return;
  }
  if (text.starts_with(kBlocks)) {
    blocks_ = block_count(text);
    return;
  }
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(',', first), text.size());
    const std::string_view pattern = text.substr(first, end - first);
    check_pattern(pattern, text);
    if (patterns_.size() == kMostPatterns) fail("--freeze", "got more than {} names. Fix: use fewer, with *", kMostPatterns);
    patterns_.emplace_back(pattern);
    first = end + 1;
  }
}

bool Freeze::covers(std::string_view parameter, int block) const {
  if (block != kHead && block < blocks_) return true;
  return std::ranges::any_of(patterns_, [&](const std::string& pattern) { return matches_layer(pattern, parameter); });
}

bool matches_layer(std::string_view pattern, std::string_view name) {
  // The usual two pointers: on a mismatch, the last * takes one character more. A pattern that ends may end before a dot.
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (true) {
    if (p == pattern.size() && (n == name.size() || name[n] == '.')) return true;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && n < name.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p, ++n;
    } else if (star != std::string_view::npos && resume < name.size()) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
}

}  // namespace vkfer
