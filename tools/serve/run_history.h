#pragma once
// The curves of a run, which may still be in progress.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace vkfer {

using Json = nlohmann::ordered_json;

class RunHistory {
 public:
  // Empty: weights without a run.
  explicit RunHistory(std::filesystem::path run);

  // {"state", "epochs", "history": [{"epoch", "learning_rate", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "train_f1",
  // "val_f1", "val_ccc", "val_valence_ccc", "val_arousal_ccc", "seconds"}, ...]}: of these, those that the run has; null: undefined.
  // "state": "training" while a process writes the run, then "finished" or, with fewer epochs than it was to have, "stopped"; "none".
  // Costs little where nothing is new.
  std::string json();

 private:
  void read_file_again();
  const std::filesystem::path run_;
  int epochs_ = 0;                         // that it is to have
  std::filesystem::file_time_type read_;   // the date of the file that rows_ are of
  Json rows_ = Json::array();
};

// The rows of history.csv; fails where it is not one.
Json history_rows(const std::string& csv);

}  // namespace vkfer
