#pragma once
// One training run. Everything random is a function of the seed and the position, and all that lives on the device is in
// the checkpoint, so that a run that was interrupted anywhere ends with the same bits as one that was not.
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/error.h"
#include "tools/data/dataset.h"
#include "tools/data/sampler.h"
#include "tools/train/evaluator.h"
#include "tools/train/monitor.h"
#include "tools/train/phases.h"
#include "tools/train/rate_search.h"
#include "tools/train/run_folder.h"
#include "tools/train/settings.h"
#include "tools/train/stepper.h"

namespace vkfer {

struct StepReport {
  int epoch = 0, epochs = 0;        // from 1
  int64_t step = 0, steps = 0;      // of this epoch, done
  int batch = 0;
  double loss = 0, learning_rate = 0;
  bool skipped = false;             // mixed precision: gradients were not finite, no parameter changed
};

// How the world hears of a run and stops it; any may be empty.
struct TrainHooks {
  std::function<void(const std::string& line)> say;
  std::function<void(const StepReport&)> step;
  std::function<void(const EpochRecord&, bool best)> epoch;
  std::function<void(int epoch, int64_t step)> saved;  // a checkpoint is on the disk: epochs, and steps of the next, that it has
  std::function<void(const char* what, size_t done, size_t total)> progress;  // decoding, validating
  std::function<bool()> stop;              // asked after each step and batch
  double checkpoint_seconds = 60;          // at least this often within an epoch; never changes a result
  size_t cache_bytes = size_t{2} << 30;    // splits whose decoded pictures are larger are decoded per batch; never changes a result
};

// Numbers were no longer finite: other settings may fare better, the same ones will not.
struct Diverged : Error {
  using Error::Error;
};

struct TrainResult {
  bool finished = false;            // else stopped on request: resume goes on
  std::vector<EpochRecord> history;
  int best_epoch = 0;
  int64_t skipped_steps = 0;        // by mixed precision, in the whole run
  int64_t steps = 0;                // of this process, and what each took: in all, and of the host apart from waiting
  double milliseconds_per_step = 0, host_milliseconds_per_step = 0;
};

class Training {
 public:
  // Opens and checks everything: decodes the images, builds the graphs. `settings` are resolved ones; `from` the
  // checkpoint to go on from. The device and the data set must outlive it.
  Training(Device&, const Dataset&, const TrainSettings&, std::optional<Checkpoint> from, TrainHooks);

  Json config() const;  // what config.json holds
  // Empty, or why going on from the checkpoint will not give the same bits as the run that wrote it.
  std::string inexact_because() const { return inexact_because_; }
  size_t train_images() const { return train_->size(); }
  size_t val_images() const { return val_->size(); }

  TrainResult run(RunFolder&);

  // Instead of run(): trains with rising rates, from the beginning, and leaves nothing but what it saw.
  RateSearch find_rate(const RateRange&);

 private:
  using Clock = std::chrono::steady_clock;
  void decode();
  void check_left(const DecodedCache&, std::string_view split) const;
  std::vector<size_t> samples(std::string_view split) const;
  NetworkSettings network_in(int phase) const;
  void build(const Target&, bool goes_on);
  void start_phase();   // the first of plans_
  void next_phase();
  std::vector<std::string> states_without_affect() const;
  void start();
  std::vector<std::string> kept_states() const;
  void restore();
  bool stop_requested() const { return hooks_.stop && hooks_.stop(); }
  bool train_epoch(RunFolder&);
  // A step on its way. While the device computes it, the host prepares the next and submits it behind.
  struct Step {
    double lr = 0;
    std::vector<int64_t> positions;
  };
  double rate(int64_t index) const;                            // of the step, from the schedule and the history
  OptimizerSettings optimizer_settings(int64_t index) const;
  struct Batch {
    std::vector<int32_t> labels, augment;
    std::vector<float> valence, arousal, weights, warp;
    std::vector<double> rows;            // [n,k], what each is to answer times its weight; with NetworkSettings::soft_targets only
    SoftTargets targets;                 // of them
    // With NetworkSettings::mix only.
    std::vector<uint8_t> partner_pixels;
    std::vector<int32_t> partner_augment;
    std::vector<float> partner_warp, share;
  };
  void append_row(Batch&, const Sample&) const;
  void mix(Batch&, std::span<const uint8_t> pixels, int64_t index) const;
  std::vector<Hyper> hypers(const OptimizerSettings&, double lr, int64_t index) const;  // of each phase until now
  void submit(const Batch&, std::span<const uint8_t> pixels, std::span<const Hyper>, int64_t index);
  Batch batch_of(std::span<const int64_t> positions, std::span<const uint8_t> pixels, int64_t index) const;  // with this epoch's augmentation
  void start_step(std::vector<int64_t> positions, const std::vector<uint8_t>& pixels);
  void finish_step();   // the oldest of steps_
  void finish_steps();
  [[noreturn]] void fail_not_finite(double loss, const Step&) const;
  bool follow_loss_scale(double loss, const Step&);
  std::string batch_text(const Step&) const;
  States& evaluated() { return averaged_ ? *averaged_ : states_; }
  void start_averages(const std::vector<std::string>& but_not = {});
  void take_averages();
  Evaluation train_figures();
  bool finish_epoch();
  std::vector<std::byte> export_model();
  void check_finite(const std::string& name, std::span<const std::byte>) const;
  void save(RunFolder&);
  void say(const std::string& line) const {
    if (hooks_.say) hooks_.say(line);
  }

  Device& device_;
  const Dataset& dataset_;
  TrainSettings settings_;
  TrainHooks hooks_;
  NetworkSettings network_;
  const OptimizerDef& optimizer_;
  const ScheduleDef& schedule_;
  const MonitorDef& monitor_;
  std::vector<std::string> classes_;  // the data's; none with va_only
  std::vector<float> class_weights_;
  std::set<std::string> left_out_;    // problems of pictures that were named
  std::unique_ptr<DecodedCache> train_, val_;
  std::unique_ptr<Sampler> sampler_;
  int64_t steps_per_epoch_ = 0;
  States states_;
  std::unique_ptr<States> averaged_;  // with averages: the network that validation and the weights use
  FreezePhases phases_;
  int phase_ = 0;                     // under way
  std::deque<StepPlan> plans_;        // of the phases that are to come
  std::unique_ptr<Stepper> stepper_;
  std::unique_ptr<Evaluator> evaluator_;
  Checkpoint at_;   // where the run is, steps on their way not counted; the states are read when it is saved
  std::deque<Step> steps_;
  int64_t skipped_steps_ = 0;  // as in the state kLossScaleCounts
  std::string inexact_because_;
  Clock::time_point epoch_start_, last_save_;
  double save_seconds_ = 0;
  int64_t steps_done_ = 0;          // in this process
  double loop_seconds_ = 0;         // of training steps, saving not counted
  double waited_milliseconds_ = 0;  // of them for the device, in phases that are over
};

// "name, driver": what must agree for the same bits.
std::string driver_text(const DeviceInfo&);
// Of the samples, labels and splits: two data sets with the same one train alike.
std::string fingerprint(const Dataset&, bool valence_arousal = false);
// Samples of a split that have a label; with `valence_arousal` also those without a class whose valence and arousal are known, and
// without `classes` these alone.
std::vector<size_t> labelled(const Dataset&, std::string_view split, bool valence_arousal = false, bool classes = true);

}  // namespace vkfer
