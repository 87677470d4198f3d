#pragma once
// history.csv: one row an epoch, for people and spreadsheets. `serve` reads some columns of it; all else is in the checkpoint that it
// is made from.
#include <string>
#include <vector>

#include "tools/train/checkpoint.h"

namespace vkfer {

std::string history_csv(const std::vector<EpochRecord>&, const std::vector<std::string>& classes);

}  // namespace vkfer
