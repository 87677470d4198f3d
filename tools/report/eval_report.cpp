#include "tools/report/eval_report.h"

#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tools/data/csv.h"
#include "tools/data/output_file.h"

namespace vkfer {
namespace {

Json or_null(double v) { return std::isnan(v) ? Json() : Json(v); }

std::string or_empty(double v) { return std::isnan(v) ? "" : fmt::format("{:.9g}", v); }

// Of a class, by its number; a class itself may be called "valence" or "3".
bool is_of_class(const ScoreName& n) { return !n.of.empty() && n.of[0] >= '0' && n.of[0] <= '9'; }

// What a score is of, by its name.
std::string name_of(const EvalReport& r, const ScoreName& n) { return is_of_class(n) ? r.classes[std::stoul(n.of)] : n.of; }

}  // namespace

Json scores_json(const EvalReport& r) {
  Json all = Json::object();
  for (const Score& s : r.scores) {
    Json value = {{"value", or_null(s.value)}};
    if (r.resamples) value.update({{"low", or_null(s.low)}, {"high", or_null(s.high)}});
    const std::string of = name_of(r, s.name);
    (is_of_class(s.name) ? all["per_class"][of] : of.empty() ? all : all[of])[s.name.figure] = value;
  }
  return all;
}

void write_scores(const std::filesystem::path& path, const EvalReport& r) {
  std::string text = "figure,of,value,low,high\n";
  for (const Score& s : r.scores)
    text += fmt::format("{},{},{},{},{}\n", s.name.figure, csv_field(name_of(r, s.name)), or_empty(s.value), or_empty(s.low), or_empty(s.high));
  OutputFile file(path);
  file.write(text);
  file.close();
}

void write_predictions(const std::filesystem::path& path, const EvalReport& r, const Dataset& dataset) {
  const Predictions& p = r.predictions;
  const size_t k = r.classes.size();
  std::string text = "image";
  if (k) text += ",label,prediction";
  for (const std::string& name : r.classes) text += "," + csv_field("p:" + name);
  const std::pair<const char*, const Predictions::Affect*> affects[] = {{"valence", &p.valence}, {"arousal", &p.arousal}};
  for (const auto& [name, a] : affects)
    if (!a->truth.empty()) text += fmt::format(",{0}_true,{0}", name);
  text += "\n";
  for (size_t i = 0; i < r.samples.size(); ++i) {
    text += csv_field(dataset.sample(r.samples[i]).id);
    if (k) {
      const auto row = std::span(p.probabilities).subspan(i * k, k);
      text += fmt::format(",{},{}", p.labels[i] < 0 ? "" : csv_field(r.classes[size_t(p.labels[i])]), csv_field(r.classes[size_t(std::ranges::max_element(row) - row.begin())]));
      for (const float v : row) text += fmt::format(",{:.6g}", v);
    }
    for (const auto& [name, a] : affects)
      if (!a->truth.empty()) text += fmt::format(",{},{:.6g}", or_empty(a->truth[i]), a->predicted[i]);
    text += "\n";
  }
  OutputFile file(path);
  file.write(text);
  file.close();
}

}  // namespace vkfer
