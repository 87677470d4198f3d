#include "tools/train/sweep_table.h"

#include <algorithm>
#include <cmath>

#include "tools/data/csv.h"
#include "tools/train/names.h"

namespace vkfer {
namespace {

SweepRow row_of(const SweptTrial& trial, int repeats) {
  SweepRow row{&trial, trial.status(repeats), 0, {}};
  std::map<std::string, std::vector<double>> values;
  for (const SweptRun& run : trial.runs) {
    row.runs += !run.figures.figures.empty();
    for (const auto& [split, figures] : run.figures.figures)
      for (const auto& [name, value] : figures) values[split + "_" + name].push_back(value);
  }
  for (const auto& [name, v] : values) row.figures[name] = statistics(v);
  return row;
}

// Names of the figures, or of the settings, of any row.
template <class F>
std::vector<std::string> names_in(const std::vector<SweepRow>& rows, F&& each) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  for (const SweepRow& row : rows) each(row, add);
  return names;
}

std::vector<std::string> figure_names(const std::vector<SweepRow>& rows) {
  return names_in(rows, [](const SweepRow& row, auto&& add) {
    for (const auto& [name, s] : row.figures) add(name);
  });
}

std::vector<std::string> setting_columns(const std::vector<SweepRow>& rows) {
  return names_in(rows, [](const SweepRow& row, auto&& add) {
    for (const auto& [name, value] : row.trial->settings.items()) add(name);
  });
}

std::string plain(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

bool less_is_better(std::string_view figure) { return figure.ends_with("loss") || figure.ends_with("rmse") || figure.ends_with("mae"); }

std::vector<SweepRow> sweep_rows(const std::vector<SweptTrial>& trials, int repeats, const std::string& figure) {
  std::vector<SweepRow> rows;
  for (const SweptTrial& trial : trials) rows.push_back(row_of(trial, repeats));
  const std::vector<std::string> known = figure_names(rows);
  if (!known.empty() && std::ranges::find(known, figure) == known.end()) fail_unknown("--sort", "figure", figure.substr(0, 100), known);
  const auto rank = [&](const SweepRow& row) {
    const auto it = row.figures.find(figure);
    if (it == row.figures.end() || std::isnan(it->second.mean)) return std::pair(1, 0.0);
    return std::pair(0, less_is_better(figure) ? it->second.mean : -it->second.mean);
  };
  std::ranges::stable_sort(rows, [&](const SweepRow& a, const SweepRow& b) { return rank(a) < rank(b); });
  return rows;
}

std::string settings_text(const Json& settings) {
  std::string text;
  for (const auto& [name, value] : settings.items()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, plain(value));
  return text;
}

std::string sweep_csv(const std::vector<SweepRow>& rows) {
  const std::vector<std::string> settings = setting_columns(rows), figures = figure_names(rows);
  std::string csv = "trial,status,runs";
  for (const std::string& name : settings) csv += "," + name;
  for (const std::string& name : figures) csv += fmt::format(",{0},{0}_std", name);
  csv += '\n';
  for (const SweepRow& row : rows) {
    csv += fmt::format("{},{},{}", row.trial->number, to_string(row.status), row.runs);
    for (const std::string& name : settings) csv += "," + (row.trial->settings.contains(name) ? csv_field(plain(row.trial->settings.at(name))) : std::string());
    for (const std::string& name : figures) {
      const auto it = row.figures.find(name);
      csv += it == row.figures.end() ? ",," : fmt::format(",{},{}", csv_number(it->second.mean), csv_number(it->second.std));
    }
    csv += '\n';
  }
  return csv;
}

Json sweep_json(const std::vector<SweepRow>& rows) {
  Json all = Json::array();
  for (const SweepRow& row : rows) {
    Json j = {{"trial", row.trial->number}, {"status", to_string(row.status)}, {"settings", row.trial->settings}, {"figures", Json::object()}, {"runs", Json::array()}};
    for (const auto& [name, s] : row.figures)
      j["figures"][name] = {{"n", s.n}, {"mean", number_json(s.mean)}, {"std", number_json(s.std)}, {"min", number_json(s.min)}, {"max", number_json(s.max)}};
    for (const SweptRun& run : row.trial->runs)
      j["runs"].push_back({{"seed", run.seed}, {"status", to_string(run.status)}, {"best_epoch", run.figures.best_epoch}, {"epochs", run.figures.epochs}, {"message", run.message}});
    all.push_back(j);
  }
  return all;
}

}  // namespace vkfer
