#pragma once
// Hold-out splits by seed, the same on every platform.
#include <span>

#include "tools/data/dataset.h"

namespace vkfer {

// Of the samples that are now `from`, gives round(n * fraction) of every class (1 or more of a class of 3 or more) to
// `to`. Who goes depends on the seed and the sample's id alone, so adding a file elsewhere moves nobody else.
void hold_out(std::span<Sample> samples, Split from, Split to, double fraction, uint64_t seed);

}  // namespace vkfer
