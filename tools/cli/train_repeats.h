#pragma once
// `train --repeats N`: the same training with N seeds, and what their figures come to.
#include "tools/cli/train_job.h"
#include "tools/train/repeats.h"

namespace vkfer {

void train_repeats(const Arguments&, Console&, TrainLogs&);

// The figures of a run that is finished: train and val at its best epoch, and test where the data has one.
RepeatedRun figures_of_run(const TrainOutcome&, Trainer&, const Arguments&, Console&);

}  // namespace vkfer
