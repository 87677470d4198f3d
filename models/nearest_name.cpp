// V. Levenshtein, Binary codes capable of correcting deletions, insertions and reversals, 1966.
#include <algorithm>

#include "models/registry.h"

namespace vkfer {
namespace {

size_t edits(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = up;
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
