#pragma once
// How well several observers agree beyond chance: Krippendorff's alpha (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011).
#include <span>
#include <vector>

#include "tools/metrics/classification.h"

namespace vkfer {

enum class Level { nominal, ordinal, interval, ratio };  // of measurement: what differences count

// ratings[observer][unit]; NaN: none. Units with fewer than two ratings say nothing. NaN: undefined, for all ratings are equal,
// or there are none to compare.
double krippendorff_alpha(std::span<const std::vector<double>> ratings, Level);

// Of two observers, the truth and the network, over classes (nominal).
double krippendorff_alpha(const Confusion&);

}  // namespace vkfer
