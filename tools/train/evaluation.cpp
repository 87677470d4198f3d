#include "tools/train/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vkfer {
namespace {

// f(name, member) for each figure.
template <class Metrics, class F>
void for_each_figure(Metrics& m, F&& f) {
  f("rmse", m.rmse), f("mae", m.mae), f("r2", m.r2), f("pearson", m.pearson), f("sagr", m.sagr), f("ccc", m.ccc);
}

Json affect_json(const Affect& a) {
  return {{"count", a.count}, {"squared_error", a.squared_error}, {"metrics", metrics_json(a.metrics)}};
}

Affect affect_from_json(const Json& j) {
  Affect a;
  j.at("count").get_to(a.count);
  if (!j.at("squared_error").is_null()) j.at("squared_error").get_to(a.squared_error);
  const Json& m = j.at("metrics");
  m.at("count").get_to(a.metrics.count);
  for_each_figure(a.metrics, [&](const char* name, double& value) {
    if (!m.at(name).is_null()) m.at(name).get_to(value);
  });
  return a;
}

}  // namespace

Json metrics_json(const ContinuousMetrics& m) {
  Json j = {{"count", m.count}};
  for_each_figure(m, [&](const char* name, double value) { j[name] = std::isnan(value) ? Json() : Json(value); });  // null: undefined
  return j;
}

double Evaluation::loss() const {
  return (count ? loss_sum / double(count) : 0) + (valence ? valence->mse() : 0) + (arousal ? arousal->mse() : 0);
}

double Evaluation::ccc() const {
  const double undefined = std::numeric_limits<double>::quiet_NaN();
  return valence && arousal ? (valence->metrics.ccc + arousal->metrics.ccc) / 2 : undefined;
}

int64_t Evaluation::images() const {
  if (count > 0) return count;
  return int64_t(std::max(valence ? valence->count : 0, arousal ? arousal->count : 0));
}

Evaluation Evaluation::of_sums(int classes, std::span<const float> sums) {
  Evaluation e;
  if (classes == 0) return e;
  e.confusion = Confusion(classes);
  for (size_t i = 0; i < e.confusion.counts.size(); ++i) e.confusion.counts[i] = std::llround(sums[i]);
  e.count = std::llround(sums[e.confusion.counts.size()]);
  e.loss_sum = sums[e.confusion.counts.size() + 1];
  return e;
}

void Compared::append(std::span<const float> predicted, std::span<const float> known) {
  for (size_t i = 0; i < known.size(); ++i)
    if (!std::isnan(known[i])) predictions.push_back(predicted[i]), truths.push_back(known[i]);
}

Affect Compared::affect() const {
  Affect a{double(truths.size()), 0, continuous_metrics(predictions, truths)};
  for (size_t i = 0; i < truths.size(); ++i) a.squared_error += std::pow(predictions[i] - truths[i], 2);
  return a;
}

Evaluation Evaluation::of_predictions(const Predictions& p) {
  Evaluation e;
  e.confusion = Confusion(p.classes);
  const size_t k = size_t(p.classes);
  for (size_t i = 0; i < p.labels.size(); ++i) {
    if (p.labels[i] < 0) continue;
    const auto row = std::span(p.probabilities).subspan(i * k, k);
    ++e.confusion.at(p.labels[i], int(std::ranges::max_element(row) - row.begin()));
    e.loss_sum -= std::log(double(std::max(row[size_t(p.labels[i])], std::numeric_limits<float>::min())));
    ++e.count;
  }
  const auto affect = [](const Predictions::Affect& a) -> std::optional<Affect> {
    if (a.truth.empty()) return std::nullopt;
    Compared both;
    both.append(a.predicted, a.truth);
    return both.affect();
  };
  e.valence = affect(p.valence), e.arousal = affect(p.arousal);
  return e;
}

Json Evaluation::to_json() const {
  Json j = {{"classes", confusion.classes}, {"confusion", confusion.counts}, {"loss_sum", loss_sum}, {"count", count}};
  if (valence) j["valence"] = affect_json(*valence);
  if (arousal) j["arousal"] = affect_json(*arousal);
  return j;
}

Evaluation Evaluation::from_json(const Json& j) {
  Evaluation e;
  e.confusion.classes = j.at("classes");
  e.confusion.counts = j.at("confusion").get<std::vector<int64_t>>();
  e.confusion.counts.resize(size_t(e.confusion.classes) * size_t(e.confusion.classes));
  e.loss_sum = j.at("loss_sum").is_null() ? std::numeric_limits<double>::quiet_NaN() : j.at("loss_sum").get<double>();
  e.count = j.at("count");
  if (j.contains("valence")) e.valence = affect_from_json(j.at("valence"));
  if (j.contains("arousal")) e.arousal = affect_from_json(j.at("arousal"));
  return e;
}

namespace {

// Figures of classes that no image has.
void clear_figures(Json& j) {
  for (Json& value : j)
    if (value.is_number_float()) value = nullptr;
}

Json class_report(const Evaluation& e, const std::vector<std::string>& classes) {
  const ClassificationMetrics m = classification_metrics(e.confusion);
  Json per_class = Json::object(), rows = Json::array();
  for (size_t c = 0; c < classes.size(); ++c) {
    const ClassMetrics& k = m.per_class[c];
    per_class[classes[c]] = {{"precision", k.precision}, {"recall", k.recall}, {"f1", k.f1}, {"support", k.support}};
    const auto row = e.confusion.counts.begin() + ptrdiff_t(c * classes.size());
    rows.push_back(std::vector<int64_t>(row, row + ptrdiff_t(classes.size())));
  }
  Json report = {{"accuracy", m.accuracy},       {"macro_f1", m.macro_f1},
          {"weighted_f1", m.weighted_f1}, {"macro_precision", m.macro_precision}, {"macro_recall", m.macro_recall},
          {"kappa", m.kappa}};
  if (e.count == 0) {
    clear_figures(report);
    for (Json& figures : per_class) clear_figures(figures);
  }
  report.update({{"classes", classes}, {"per_class", per_class}, {"confusion", rows}});
  return report;
}

}  // namespace

Json report_json(const Evaluation& e, const std::vector<std::string>& classes) {
  Json report = {{"count", e.images()}, {"loss", e.loss()}};
  if (e.has_classes()) report.update(class_report(e, classes));
  if (e.valence) report["valence"] = metrics_json(e.valence->metrics);
  if (e.arousal) report["arousal"] = metrics_json(e.arousal->metrics);
  return report;
}

}  // namespace vkfer
