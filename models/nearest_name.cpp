// F. Damerau, A technique for computer detection and correction of spelling errors, 1964: insertions, deletions,
// substitutions, and neighbours swapped, which typing hands do most.
#include <algorithm>

#include "models/registry.h"

namespace vkfer {
namespace {

size_t edits(std::string_view a, std::string_view b) {
  // Rows i-2, i-1 and i of the table: [characters of b] -> edits from the first i characters of a.
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view wanted, std::span<const std::string> candidates) {
  // Names come from files: a very long one is compared by its start, so that a hostile file cannot make this slow.
  wanted = wanted.substr(0, 200);
  std::string best;
  size_t best_edits = std::max<size_t>(2, wanted.size() / 2);
  for (const auto& candidate : candidates) {
    const size_t d = edits(wanted, std::string_view(candidate).substr(0, 200));
    if (d < best_edits) best = candidate, best_edits = d;
  }
  return best;
}

}  // namespace vkfer
