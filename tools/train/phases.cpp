#include "tools/train/phases.h"

#include <algorithm>

#include "models/freeze.h"
#include "runtime/error.h"

namespace vkfer {

int FreezePhases::at(int epoch) const { return epochs == 0 ? 0 : std::min(epoch / epochs, int(freezes.size()) - 1); }

FreezePhases freeze_phases(const TrainSettings& s, int blocks) {
  FreezePhases phases{{s.freeze}, s.freeze_epochs};
  if (phases.epochs == 0) return phases;
  if (s.unfreeze_blocks > 0)
    for (int left = std::min(Freeze(s.freeze).blocks(), blocks) - s.unfreeze_blocks; left > 0; left -= s.unfreeze_blocks)
      phases.freezes.push_back(fmt::format("blocks:{}", left));
  phases.freezes.push_back("");
  return phases;
}

}  // namespace vkfer
