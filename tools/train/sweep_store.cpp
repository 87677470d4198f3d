#include "tools/train/sweep_store.h"

#include <algorithm>
#include <array>

#include "runtime/error.h"
#include "tools/metrics/classification.h"

namespace vkfer {
namespace {

constexpr int64_t kVersion = 1;
constexpr std::array<std::string_view, 6> kStatus{"waiting", "running", "finished", "pruned", "diverged", "failed"};

RunStatus status_from(const std::string& name) {
  const auto it = std::ranges::find(kStatus, name);
  if (it == kStatus.end()) fail("sweep", "the database holds an unknown status '{}'. Fix: it is damaged; begin in another folder", name.substr(0, 100));
  return RunStatus(it - kStatus.begin());
}

Json parse(const std::string& text) {
  Json j = Json::parse(text, nullptr, false);
  if (!j.is_object()) fail("sweep", "the database holds '{}', expected an object. Fix: it is damaged; begin in another folder", text.substr(0, 100));
  return j;
}

}  // namespace

std::string_view to_string(RunStatus s) { return kStatus[size_t(s)]; }

RunStatus SweptTrial::status(int repeats) const {
  for (const RunStatus s : {RunStatus::failed, RunStatus::diverged, RunStatus::pruned, RunStatus::running})
    if (std::ranges::any_of(runs, [&](const SweptRun& r) { return r.status == s; })) return s;
  return runs.empty() ? RunStatus::waiting : runs.size() < size_t(repeats) ? RunStatus::running : RunStatus::finished;
}

SweepStore::SweepStore(const std::filesystem::path& file) : database_(file) {
  const int64_t version = integer_of(database_.run("PRAGMA user_version").at(0).at(0));
  if (version != 0 && version != kVersion) fail("sweep", "{}: version {}, expected {}. Fix: go on with the vkfer that began it", file.string(), version, kVersion);
  Database::Transaction transaction(database_);
  for (const char* table : {"sweep(key TEXT PRIMARY KEY, value TEXT)", "trials(trial INTEGER PRIMARY KEY, settings TEXT)",
                            "runs(trial INTEGER, repeat INTEGER, seed TEXT, status TEXT, best_epoch INTEGER, epochs INTEGER, message TEXT, PRIMARY KEY(trial, repeat))",
                            "epochs(trial INTEGER, repeat INTEGER, epoch INTEGER, learning_rate REAL, train_loss REAL, train_accuracy REAL, train_macro_f1 REAL, "
                            "val_loss REAL, val_accuracy REAL, val_macro_f1 REAL, seconds REAL, monitored REAL, PRIMARY KEY(trial, repeat, epoch))",
                            "figures(trial INTEGER, repeat INTEGER, split TEXT, figure TEXT, number INTEGER, value REAL, PRIMARY KEY(trial, repeat, split, figure))"})
    database_.run(fmt::format("CREATE TABLE IF NOT EXISTS {}", table));
  database_.run(fmt::format("PRAGMA user_version = {}", kVersion));
  transaction.commit();
}

std::string SweepStore::value(const std::string& key) {
  const std::vector<Database::Row> rows = database_.run("SELECT value FROM sweep WHERE key = ?", {key});
  return rows.empty() ? std::string() : text_of_value(rows[0].at(0));
}

void SweepStore::set_value(const std::string& key, const std::string& value) { database_.run("INSERT OR REPLACE INTO sweep VALUES (?, ?)", {key, value}); }

void SweepStore::begin(const Json& description, const std::vector<Json>& trials) {
  Database::Transaction transaction(database_);
  const std::string known = value("plan");
  if (!known.empty() && parse(known) != description)
    fail("sweep", "the folder holds a sweep with other settings. Fix: --run another folder, or the recipe and options that it was begun with");
  set_value("plan", description.dump());
  for (size_t t = 0; t < trials.size(); ++t) {
    const std::vector<Database::Row> rows = database_.run("SELECT settings FROM trials WHERE trial = ?", {int64_t(t + 1)});
    if (rows.empty())
      database_.run("INSERT INTO trials VALUES (?, ?)", {int64_t(t + 1), trials[t].dump()});
    else if (parse(text_of_value(rows[0].at(0))) != trials[t])
      fail("sweep", "trial {} of the folder's sweep is {}, now it is {}. Fix: --run another folder, or the recipe that it was begun with", t + 1,
           text_of_value(rows[0].at(0)), trials[t].dump());
  }
  transaction.commit();
}

void SweepStore::start(int trial, int repeat, uint64_t seed) {
  database_.run("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, 'running', 0, 0, '')", {int64_t(trial), int64_t(repeat), std::to_string(seed)});
}

void SweepStore::add_epochs(int trial, int repeat, std::span<const EpochRecord> history, const MonitorDef& monitor) {
  Database::Transaction transaction(database_);
  for (const EpochRecord& r : history) {
    ClassificationMetrics train = classification_metrics(r.train.confusion), val = classification_metrics(r.val.confusion);
    if (!r.val.has_classes()) train.accuracy = train.macro_f1 = val.accuracy = val.macro_f1 = NAN;  // NULL in the file
    database_.run("INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  {int64_t(trial), int64_t(repeat), int64_t(r.epoch), r.learning_rate, r.train.loss(), train.accuracy, train.macro_f1, r.val.loss(), val.accuracy,
                   val.macro_f1, r.seconds, monitor.figure(r)});
  }
  transaction.commit();
}

std::vector<std::vector<double>> SweepStore::monitored_before(int trial) {
  std::vector<std::vector<double>> all;
  for (const Database::Row& run : database_.run("SELECT trial FROM runs WHERE trial < ? AND repeat = 0 AND status = 'finished' ORDER BY trial", {int64_t(trial)})) {
    std::vector<double> history;
    for (const Database::Row& e : database_.run("SELECT monitored FROM epochs WHERE trial = ? AND repeat = 0 ORDER BY epoch", {run[0]})) history.push_back(number_of(e[0]));
    all.push_back(std::move(history));
  }
  return all;
}

void SweepStore::finish(int trial, int repeat, RunStatus status, const std::string& message, const RepeatedRun& run) {
  Database::Transaction transaction(database_);
  database_.run("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", {int64_t(trial), int64_t(repeat), std::to_string(run.seed), std::string(to_string(status)),
                                                                           int64_t(run.best_epoch), int64_t(run.epochs), message});
  database_.run("DELETE FROM figures WHERE trial = ? AND repeat = ?", {int64_t(trial), int64_t(repeat)});
  for (const auto& [split, figures] : run.figures)
    for (size_t i = 0; i < figures.size(); ++i)
      database_.run("INSERT OR REPLACE INTO figures VALUES (?, ?, ?, ?, ?, ?)", {int64_t(trial), int64_t(repeat), split, figures[i].first, int64_t(i), figures[i].second});
  transaction.commit();
}

RunStatus SweepStore::status(int trial, int repeat) {
  const std::vector<Database::Row> rows = database_.run("SELECT status FROM runs WHERE trial = ? AND repeat = ?", {int64_t(trial), int64_t(repeat)});
  return rows.empty() ? RunStatus::waiting : status_from(text_of_value(rows[0].at(0)));
}

std::vector<SweptTrial> SweepStore::trials() {
  std::vector<SweptTrial> all;
  for (const Database::Row& row : database_.run("SELECT trial, settings FROM trials ORDER BY trial")) {
    SweptTrial trial{int(integer_of(row[0])), parse(text_of_value(row[1])), {}};
    for (const Database::Row& r : database_.run("SELECT seed, status, best_epoch, epochs, message, repeat FROM runs WHERE trial = ? ORDER BY repeat", {int64_t(trial.number)})) {
      SweptRun run;
      run.seed = std::strtoull(text_of_value(r[0]).c_str(), nullptr, 10);
      run.status = status_from(text_of_value(r[1]));
      run.message = text_of_value(r[4]);
      run.figures = {run.seed, int(integer_of(r[2])), int(integer_of(r[3])), {}};
      for (const Database::Row& f : database_.run("SELECT split, figure, value FROM figures WHERE trial = ? AND repeat = ? ORDER BY split, number", {int64_t(trial.number), r[5]}))
        run.figures.figures[text_of_value(f[0])].emplace_back(text_of_value(f[1]), number_of(f[2]));
      trial.runs.push_back(std::move(run));
    }
    all.push_back(std::move(trial));
  }
  return all;
}

}  // namespace vkfer
