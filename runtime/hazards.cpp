#include "runtime/hazards.h"

#include <algorithm>

namespace vkfer {

static bool conflict(const Access& earlier, const Access& later) {
  bool overlap = earlier.buffer == later.buffer && earlier.begin < later.end && later.begin < earlier.end;
  return overlap && (earlier.written || later.written);
}

bool HazardTracker::command(std::span<const Access> accesses) {
  bool barrier = std::ranges::any_of(accesses, [&](const Access& later) {
    return std::ranges::any_of(pending_, [&](const Access& earlier) { return conflict(earlier, later); });
  });
  if (barrier) pending_.clear();
  pending_.insert(pending_.end(), accesses.begin(), accesses.end());
  return barrier;
}

}  // namespace vkfer
