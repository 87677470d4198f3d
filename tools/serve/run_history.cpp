#include "tools/serve/run_history.h"

#include <charconv>
#include <cmath>
#include <map>

#include "runtime/error.h"
#include "tools/data/bytes.h"
#include "tools/data/csv.h"
#include "tools/train/folder_lock.h"
#include "tools/train/run_folder.h"
#include "tools/train/settings.h"

namespace vkfer {
namespace {

constexpr size_t kMaxBytes = size_t{64} << 20;

// Of history.csv's columns those that are drawn, under the names that the report has for them.
const std::map<std::string_view, std::string_view> kColumns{
    {"epoch", "epoch"}, {"learning_rate", "learning_rate"}, {"train_loss", "train_loss"}, {"val_loss", "val_loss"}, {"train_accuracy", "train_accuracy"},
    {"val_accuracy", "val_accuracy"}, {"train_macro_f1", "train_f1"}, {"val_macro_f1", "val_f1"}, {"val_ccc", "val_ccc"}, {"val_valence_ccc", "val_valence_ccc"},
    {"val_arousal_ccc", "val_arousal_ccc"}, {"seconds", "seconds"}};

Json number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || (error == std::errc() && !std::isfinite(value))) return nullptr;
  if (error != std::errc() || end != text.data() + text.size()) fail("history", "'{}' is not a number", text);
  return value;
}

}  // namespace

Json history_rows(const std::string& csv) {
  std::vector<std::string_view> lines = split_at('\n', csv);
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) return Json::array();
  const std::vector<std::string_view> names = split_at(',', lines[0]);
  Json rows = Json::array();
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string_view> cells = split_at(',', lines[i]);
    if (cells.size() != names.size()) fail("history", "line {}: {} cells, expected {}", i + 1, cells.size(), names.size());
    Json row = Json::object();
    for (size_t c = 0; c < cells.size(); ++c)
      if (const auto known = kColumns.find(names[c]); known != kColumns.end()) row[std::string(known->second)] = number(cells[c]);
    rows.push_back(std::move(row));
  }
  return rows;
}

RunHistory::RunHistory(std::filesystem::path run) : run_(std::move(run)) {
  if (run_.empty()) return;
  const Json config = read_config(run_);
  epochs_ = settings_from_json(config.value("settings", Json()), (run_ / "config.json").string()).epochs;
}

void RunHistory::read_file_again() {
  std::error_code error;
  const auto written = std::filesystem::last_write_time(run_ / "history.csv", error);
  if (error || written == read_) return;
  try {
    const std::vector<std::byte> bytes = read_file(run_ / "history.csv", kMaxBytes);
    rows_ = history_rows(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  } catch (const Error&) {   // somebody edited it: the curves stay as they were
  }
  read_ = written;
}

std::string RunHistory::json() {
  if (run_.empty()) return Json{{"state", "none"}, {"epochs", 0}, {"history", Json::array()}}.dump();
  const bool training = is_locked(run_);   // first: the last row is there before the lock is gone
  read_file_again();
  return Json{{"state", training ? "training" : int(rows_.size()) >= epochs_ ? "finished" : "stopped"}, {"epochs", epochs_}, {"history", rows_}}.dump();
}

}  // namespace vkfer
