#pragma once
// How much each class counts in the training loss.
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tools/data/dataset.h"

namespace vkfer {

// "" and "balanced" have no numbers of their own. Fails naming --class-weights.
std::vector<float> parse_class_weights(std::string_view);

// Images of each class; one with a distribution counts for each of its classes by that class' share.
std::vector<double> class_shares(const Dataset&, std::string_view split);

// By class: all 1 for "", n / (k n_c) for "balanced" (scikit-learn's compute_class_weight) from the training images of each class,
// or the numbers given. Fails when they are not as many as the classes.
std::vector<float> class_weights(std::string_view setting, std::span<const double> shares);

}  // namespace vkfer
