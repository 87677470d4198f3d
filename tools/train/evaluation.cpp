#include "tools/train/evaluation.h"

#include <cmath>
#include <limits>

namespace vkfer {

Evaluation Evaluation::of_sums(int classes, std::span<const float> sums) {
  Evaluation e;
  e.confusion = Confusion(classes);
  for (size_t i = 0; i < e.confusion.counts.size(); ++i) e.confusion.counts[i] = std::llround(sums[i]);
  e.count = std::llround(sums[e.confusion.counts.size()]);
  e.loss_sum = sums[e.confusion.counts.size() + 1];
  return e;
}

Json Evaluation::to_json() const {
  return {{"classes", confusion.classes}, {"confusion", confusion.counts}, {"loss_sum", loss_sum}, {"count", count}};
}

Evaluation Evaluation::from_json(const Json& j) {
  Evaluation e;
  e.confusion.classes = j.at("classes");
  e.confusion.counts = j.at("confusion").get<std::vector<int64_t>>();
  e.confusion.counts.resize(size_t(e.confusion.classes) * size_t(e.confusion.classes));
  e.loss_sum = j.at("loss_sum").is_null() ? std::numeric_limits<double>::quiet_NaN() : j.at("loss_sum").get<double>();
  e.count = j.at("count");
  return e;
}

Json report_json(const Evaluation& e, const std::vector<std::string>& classes) {
  const ClassificationMetrics m = classification_metrics(e.confusion);
  Json per_class = Json::object(), rows = Json::array();
  for (size_t c = 0; c < classes.size(); ++c) {
    const ClassMetrics& k = m.per_class[c];
    per_class[classes[c]] = {{"precision", k.precision}, {"recall", k.recall}, {"f1", k.f1}, {"support", k.support}};
    const auto row = e.confusion.counts.begin() + ptrdiff_t(c * classes.size());
    rows.push_back(std::vector<int64_t>(row, row + ptrdiff_t(classes.size())));
  }
  return {{"count", e.count},           {"accuracy", m.accuracy},       {"macro_f1", m.macro_f1},
          {"weighted_f1", m.weighted_f1}, {"macro_precision", m.macro_precision}, {"macro_recall", m.macro_recall},
          {"kappa", m.kappa},           {"loss", e.loss()},             {"classes", classes},
          {"per_class", per_class},     {"confusion", rows}};
}

}  // namespace vkfer
