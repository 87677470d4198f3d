#pragma once
// A sweep at work: its trials one after the other, on one device or on several side by side.
#include <condition_variable>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>

#include "tools/cli/train_job.h"
#include "tools/train/folder_lock.h"
#include "tools/train/sweep_plan.h"
#include "tools/train/sweep_store.h"

namespace vkfer {

// The recipe with what the command line gives over it, as a plan and as what a training is asked for.
struct AskedSweep {
  AskedTraining training;
  SweepPlan plan;
  std::string name;                        // of the recipe
  std::string monitor() const { return plan.monitor.empty() ? training.settings.monitored() : plan.monitor; }
};

// Of one trial and repeat. `given` says in the run's config.json what was put over the recipe.
AskedTraining trial_training(const AskedSweep&, size_t trial, int repeat);

// The trials in turn to the devices that --device names. With one device everything is said on the console; with several each worker has
// <folder>/device-N.log, and the console hears where trials begin and how they end.
class Sweep {
 public:
  // `data` is what it is trained on, as fingerprint() tells it. Goes on with what the folder holds.
  Sweep(const Arguments&, Console&, AskedSweep, const std::filesystem::path& folder, const std::string& data);
  ~Sweep();

  // False when it was asked to stop. With pruning, what a trial is compared with does not depend on which device was faster.
  bool run();

  std::vector<SweptTrial> trials();
  const SweepPlan& plan() const { return asked_.plan; }
  std::string monitor() const { return asked_.monitor(); }

 private:
  struct Worker;
  void agree(const std::string& key, const std::string& value, std::string_view where, fmt::format_string<const std::string&, const std::string&> text);
  void work(Worker&);
  void stop();
  bool asked_to_stop();
  std::optional<size_t> next_trial();
  size_t compared_before(size_t trial) const;
  bool run_trial(Worker&, size_t trial);
  void tell(const Worker&, const std::string& text);
  std::filesystem::path path_of(size_t trial, int repeat) const;
  void drop_checkpoints(size_t trial, int repeat) const;
  RunStatus run_one(Worker&, size_t trial, int repeat);
  RunStatus train(Worker&, const AskedTraining&, int number, int repeat, const std::filesystem::path&);
  RunStatus end(const Worker&, int trial, int repeat, RunStatus, const std::string& message, const RepeatedRun&);
  template <class Work>
  auto with_store(const Work& what) {
    const std::lock_guard lock(mutex_);
    return what(store_);
  }

  Console& console_;
  const AskedSweep asked_;
  const std::filesystem::path folder_;
  const FolderLock lock_;
  const InterruptGuard guard_;       // for as long as any worker might hear of it
  std::deque<Worker> workers_;
  std::mutex mutex_;                 // of all below, and of the console while there are several workers
  std::condition_variable turn_;
  SweepStore store_;
  std::vector<bool> over_;           // trials that need no more work
  size_t next_ = 0;                  // the first trial that nobody has taken
  bool stopped_ = false;
  std::exception_ptr failure_;       // the first one
};

}  // namespace vkfer
