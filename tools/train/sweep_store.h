#pragma once
// What a sweep knows, in SQLite: <folder>/sweep.sqlite. Every change is one transaction, so that a sweep that is killed at any moment goes
// on from here. What happened within a run is in the run's own checkpoint, which is ahead of this file at most by what is said again.
//
//   sweep(key, value)                                       the plan and the data, to be compared when it goes on
//   trials(trial, settings)                                 from 1; JSON
//   runs(trial, repeat, seed, status, best_epoch, message)  see RunStatus
//   epochs(trial, repeat, epoch, ...)                       the history of each run
//   figures(trial, repeat, split, figure, value)            of runs that have ended
#include <filesystem>
#include <string>
#include <vector>

#include "tools/train/monitor.h"
#include "tools/train/repeats.h"
#include "tools/train/sqlite.h"

namespace vkfer {

enum class RunStatus : uint8_t {
  waiting,
  running,
  finished,
  pruned,    // given up, see hopeless()
  diverged,  // its numbers were no longer finite, and would not be again
  failed     // anything else: worth another try when its cause is gone
};
std::string_view to_string(RunStatus);

struct SweptRun {
  RunStatus status = RunStatus::waiting;
  uint64_t seed = 0;
  std::string message;                     // why it ended before it was finished
  RepeatedRun figures;                     // of a run that has ended
};

struct SweptTrial {
  int number = 0;                          // from 1
  Json settings;
  std::vector<SweptRun> runs;              // begun or ended, by repeat
  RunStatus status(int repeats) const;
};

class SweepStore {
 public:
  explicit SweepStore(const std::filesystem::path& file);

  // A new sweep, or the same one with more trials; fails when the file holds another.
  void begin(const Json& description, const std::vector<Json>& trials);
  std::string value(const std::string& key);                     // "" when it is not there
  void set_value(const std::string& key, const std::string& value);

  void start(int trial, int repeat, uint64_t seed);
  void add_epochs(int trial, int repeat, std::span<const EpochRecord> history, const MonitorDef&);
  // Of the first runs that are finished of the trials with lower numbers: the monitored figure by epoch.
  std::vector<std::vector<double>> monitored_before(int trial);
  void finish(int trial, int repeat, RunStatus, const std::string& message, const RepeatedRun&);
  RunStatus status(int trial, int repeat);
  std::vector<SweptTrial> trials();

 private:
  Database database_;
};

}  // namespace vkfer
