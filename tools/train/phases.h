#pragma once
// Training in phases, each with less frozen than the one before it: the head first, then the backbone with it, at once (as Keras'
// guide and fastai's fine_tune do) or block by block from the last on (Howard, Ruder, Universal Language Model Fine-tuning, 2018).
#include <string>
#include <vector>

#include "tools/train/settings.h"

namespace vkfer {

struct FreezePhases {
  std::vector<std::string> freezes;  // what is frozen in each, as --freeze takes it
  int epochs = 0;                    // of each but the last, which has the rest; 0: there is only one

  int at(int epoch) const;           // the phase of an epoch, both from 0
};

// `blocks`: of the network's backbone. The settings are checked ones.
FreezePhases freeze_phases(const TrainSettings&, int blocks);

}  // namespace vkfer
