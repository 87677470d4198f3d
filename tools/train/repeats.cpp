#include "tools/train/repeats.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/error.h"
#include "tools/data/bytes.h"
#include "tools/data/atomic_file.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMostBytes = size_t{64} << 20;

Json statistics_json(const Statistics& s) {
  return {{"n", s.n}, {"mean", number_json(s.mean)}, {"std", number_json(s.std)}, {"variance", number_json(s.variance)}, {"min", number_json(s.min)}, {"max", number_json(s.max)}};
}

Json run_json(const Repeats& r, size_t i) {
  const RepeatedRun& run = r.runs[i];
  Json j = {{"seed", run.seed}, {"run", r.folder(int(i)).string()}, {"epochs", run.epochs}, {"best_epoch", run.best_epoch}};
  for (const auto& [split, figures] : run.figures) j["figures"][split] = figures_json(figures);
  return j;
}

RepeatedRun run_from_json(const Json& j) {
  RepeatedRun run{j.at("seed"), j.at("best_epoch"), j.at("epochs"), {}};
  for (const auto& [split, figures] : j.at("figures").items()) run.figures[split] = figures_from_json(figures);
  return run;
}

// By name: two classes whose names differ in a comma alone share one, and a file keeps the last of them.
double figure_of(const RepeatedRun& run, const std::string& split, const std::string& name) {
  const auto of_split = run.figures.find(split);
  if (of_split == run.figures.end()) return std::numeric_limits<double>::quiet_NaN();
  const auto found = std::ranges::find(of_split->second, name, &Figures::value_type::first);
  return found == of_split->second.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

}  // namespace

TrainSettings Repeats::settings_of(int i) const {
  TrainSettings s = settings;
  s.seed = seed(i);
  if (s.split_seed == 0) s.split_seed = settings.seed;  // all train and are tested on the same faces
  return s;
}

std::vector<FigureStatistics> statistics_of(const std::vector<RepeatedRun>& runs) {
  std::vector<FigureStatistics> all;
  if (runs.empty()) return all;
  for (const char* split : {"val", "test"}) {
    if (!runs[0].figures.count(split)) continue;
    for (const auto& [name, of_first] : runs[0].figures.at(split)) {
      FigureStatistics s{split, name, {}, {}};
      for (const RepeatedRun& run : runs) s.values.push_back(figure_of(run, split, name));
      s.statistics = statistics(s.values);
      all.push_back(std::move(s));
    }
  }
  return all;
}

Json repeats_json(const Repeats& r) {
  Json j = {{"repeats", r.count}, {"finished", r.finished()}, {"settings", settings_json(r.settings)}, {"recipe", r.recipe}, {"runs", Json::array()}, {"statistics", Json::object()}};
  for (size_t i = 0; i < r.runs.size(); ++i) j["runs"].push_back(run_json(r, i));
  for (const FigureStatistics& s : statistics_of(r.runs)) j["statistics"][s.split][s.name] = statistics_json(s.statistics);
  return j;
}

std::string repeats_csv(const Repeats& r) {
  std::string csv = "split,figure,n,mean,std,variance,min,max";
  for (const RepeatedRun& run : r.runs) csv += fmt::format(",seed_{}", run.seed);
  csv += '\n';
  for (const FigureStatistics& f : statistics_of(r.runs)) {
    const Statistics& s = f.statistics;
    csv += fmt::format("{},{},{}", f.split, f.name, s.n);
    for (const double v : {s.mean, s.std}) csv += "," + csv_number(v);
    csv += std::isnan(s.variance) ? "," : fmt::format(",{:.4g}", s.variance);
    for (const double v : {s.min, s.max}) csv += "," + csv_number(v);
    for (const double v : f.values) csv += "," + csv_number(v);
    csv += '\n';
  }
  return csv;
}

bool is_repeats(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / "repeats.json", error);
}

Repeats read_repeats(const fs::path& folder) {
  const fs::path path = folder / "repeats.json";
  const std::vector<std::byte> bytes = read_file(path, kMostBytes);
  try {
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    const Json j = Json::parse(text, text + bytes.size());
    Repeats r;
    r.settings = settings_from_json(j.at("settings"), path.string());
    r.recipe = j.at("recipe");
    j.at("repeats").get_to(r.count);
    for (const Json& run : j.at("runs")) r.runs.push_back(run_from_json(run));
    for (size_t i = 0; i < r.runs.size(); ++i)
      if (r.runs[i].seed != r.seed(int(i)) || r.runs[i].figures.empty()) fail("run", "{}: run {} is not of seed {}. Fix: the file is damaged", path.string(), i + 1, r.seed(int(i)));
    if (r.runs.size() > size_t(std::max(r.count, 0))) fail("run", "{}: {} runs of {}. Fix: the file is damaged", path.string(), r.runs.size(), r.count);
    return r;
  } catch (const nlohmann::json::exception& e) {
    fail("run", "{}: {}", path.string(), e.what());
  }
}

void write_repeats(const fs::path& folder, const Repeats& r) {
  write_file(folder / "repeats.csv", repeats_csv(r));
  write_file(folder / "repeats.json", repeats_json(r).dump(2) + "\n");
}

}  // namespace vkfer
