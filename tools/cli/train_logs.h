#pragma once
// What `train` tells programs while it runs: curves for TensorBoard, and events as lines of JSON. Neither changes a result; a log that
// cannot be written any longer (a full disk, a reader that is gone) says so once and falls silent, and the run goes on.
#include <chrono>
#include <filesystem>
#include <optional>

#include "tools/cli/arguments.h"
#include "tools/cli/console.h"
#include "tools/data/output_file.h"
#include "tools/train/tensorboard.h"
#include "tools/train/training.h"

namespace vkfer {

// Where a run goes on from.
struct TrainStart {
  std::vector<EpochRecord> history;
  int epoch = 0;        // from 0
  int64_t step = 0;     // of that epoch
};

class TrainLogs {
 public:
  // Opens --events; fails when it cannot.
  TrainLogs(const Arguments&, Console&);
  TrainHooks around(TrainHooks);   // these, and the logs
  // Opens --tensorboard, and tells of the start. `from`: of a run that goes on.
  void start(const Json& config, const std::filesystem::path& run, const std::optional<TrainStart>& from);
  void end(const TrainResult&, const std::filesystem::path& run);
  void failed(const Error&);

 private:
  using Clock = std::chrono::steady_clock;
  void step(const StepReport&);
  void epoch(const EpochRecord&, bool best);
  void saved(int epoch, int64_t step);
  void event(const char* name, Json content);
  void curve(int64_t step, const Scalars&);

  Console& console_;
  std::string tensorboard_;        // --tensorboard's folder; empty: in the run's
  bool wants_curves_, wants_events_;
  std::optional<TensorBoardLog> curves_;
  std::optional<OutputFile> file_;    // of events; none: stdout
  int64_t steps_per_epoch_ = 1;
  Clock::time_point last_step_event_;
};

}  // namespace vkfer
