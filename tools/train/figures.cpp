#include "tools/train/figures.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace vkfer {

std::string column_name(const std::string& class_name) {
  std::string safe = class_name;
  for (char& c : safe)
    if (c == ',' || c == '"' || c == '\n' || c == '\r') c = '_';
  return safe;
}

std::string figure_text(double value) { return std::isnan(value) ? std::string("undefined") : fmt::format("{:.4f}", value); }

std::string csv_number(double value) { return std::isnan(value) ? std::string() : fmt::format("{:.6f}", value); }

Figures figures_of(const Evaluation& e, const std::vector<std::string>& classes) {
  const ClassificationMetrics m = classification_metrics(e.confusion);
  const auto known = [&](double figure) { return e.count > 0 ? figure : std::numeric_limits<double>::quiet_NaN(); };  // no image has a class
  Figures all;
  if (e.has_classes()) all = {{"accuracy", known(m.accuracy)}, {"macro_f1", known(m.macro_f1)}, {"weighted_f1", known(m.weighted_f1)}, {"kappa", known(m.kappa)}};
  all.emplace_back("loss", e.loss());
  const std::pair<const char*, double ClassMetrics::*> of_class[] = {{"precision", &ClassMetrics::precision}, {"recall", &ClassMetrics::recall}, {"f1", &ClassMetrics::f1}};
  for (const auto& [name, member] : of_class)
    for (size_t c = 0; c < m.per_class.size(); ++c) all.emplace_back(fmt::format("{}_{}", name, column_name(classes[c])), known(m.per_class[c].*member));
  const std::pair<const char*, const std::optional<Affect>*> outputs[] = {{"valence", &e.valence}, {"arousal", &e.arousal}};
  for (const auto& [name, affect] : outputs) {
    if (!*affect) continue;
    const Json metrics = metrics_json((*affect)->metrics);
    for (const auto& [figure, value] : metrics.items())
      if (figure != "count") all.emplace_back(fmt::format("{}_{}", name, figure), number_from_json(value));
  }
  if (e.valence && e.arousal) all.emplace_back("ccc", e.ccc());
  return all;
}

Json number_json(double value) { return std::isnan(value) ? Json() : Json(value); }

double number_from_json(const Json& j) { return j.is_null() ? std::numeric_limits<double>::quiet_NaN() : j.get<double>(); }

Json figures_json(const Figures& figures) {
  Json j = Json::object();
  for (const auto& [name, value] : figures) j[name] = number_json(value);
  return j;
}

Figures figures_from_json(const Json& j) {
  Figures figures;
  for (const auto& [name, value] : j.items()) figures.emplace_back(name, number_from_json(value));
  return figures;
}

}  // namespace vkfer
