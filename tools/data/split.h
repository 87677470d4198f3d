#pragma once
// Hold-out splits by seed, the same on every platform.
#include <span>

#include "tools/data/dataset.h"

namespace vkfer {

// Of the samples that are now `from`, gives round(n * fraction) of every class (1 or more of a class of 3 or more) to
// `to`. Who goes depends on the seed and the sample's id alone, so adding a file elsewhere moves nobody else.
void hold_out(std::span<Sample> samples, Split from, Split to, double fraction, uint64_t seed);

struct SplitSizes {
  size_t train = 0, val = 0, test = 0;
};

// Gives every sample a split anew, exactly so many, every class as near to its share of each split as whole images allow, and one
// image of a class to train before any other. What is beyond the sizes becomes unassigned. Depends on seed and ids alone.
void stratify(std::span<Sample> samples, const SplitSizes& sizes, uint64_t seed);

// Where a sample stands in an order by seed; `purpose` keeps orders of one seed apart.
uint64_t rank_of(const Sample& sample, uint64_t seed, uint32_t purpose);

}  // namespace vkfer
