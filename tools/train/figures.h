#pragma once
// All figures of an evaluation under their names: what repeats, sweeps and their tables speak of.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tools/train/evaluation.h"

namespace vkfer {

// accuracy, macro_f1 and more, precision_<class>, recall_<class>, f1_<class> of networks with classes; loss; ccc (the mean), valence_rmse, ...
// of those with valence and arousal. NaN: undefined.
using Figures = std::vector<std::pair<std::string, double>>;
Figures figures_of(const Evaluation&, const std::vector<std::string>& classes);

Json number_json(double);                        // null for NaN
double number_from_json(const Json&);
Json figures_json(const Figures&);
Figures figures_from_json(const Json&);

// A class name as part of a column's name: nothing that would break a csv.
std::string column_name(const std::string& class_name);
// For people: four digits, or "undefined" for NaN.
std::string figure_text(double value);
// A number in a csv: empty for NaN.
std::string csv_number(double);

}  // namespace vkfer
