#pragma once
// All figures of an evaluation under their names: what repeats, sweeps and their tables speak of.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tools/train/evaluation.h"

namespace vkfer {

// accuracy, macro_f1, loss and more; precision_<class>, recall_<class>, f1_<class>; valence_rmse, ... NaN: undefined.
using Figures = std::vector<std::pair<std::string, double>>;
Figures figures_of(const Evaluation&, const std::vector<std::string>& classes);

Json number_json(double);                        // null for NaN
double number_from_json(const Json&);
Json figures_json(const Figures&);
Figures figures_from_json(const Json&);

// A class name as part of a column's name: nothing that would break a csv.
std::string column_name(const std::string& class_name);
// A number in a csv: empty for NaN.
std::string csv_number(double);

}  // namespace vkfer
