#pragma once
// What `train` tells: progress, a line an epoch, the summary and the JSON answer.
#include <chrono>
#include <filesystem>

#include "tools/cli/console.h"
#include "tools/train/training.h"

namespace vkfer {

class TrainReport {
 public:
  explicit TrainReport(Console& console) : console_(console), last_(Clock::now()) {}
  TrainHooks hooks();
  void introduce(const Json& config, const std::filesystem::path& run, const Device&);
  void conclude(const TrainResult&, const std::filesystem::path& run, const Json& config);
  double images_per_second() const { return train_seconds_ > 0 ? double(images_) / train_seconds_ : 0; }
  size_t peak_bytes() const { return device_ ? device_->peak_allocated_bytes() : 0; }

 private:
  using Clock = std::chrono::steady_clock;
  void step(const StepReport&);
  void epoch(const EpochRecord&, bool best);
  double lap();  // seconds since the last lap

  Console& console_;
  const Device* device_ = nullptr;
  Clock::time_point last_;
  const char* columns_ = "";                  // titles over the lines of epochs
  int epochs_ = 0;
  int64_t images_ = 0;                        // trained on in this process, and the seconds that took
  double train_seconds_ = 0, val_seconds_ = 0;
  double shown_loss_ = 0;
};

Json history_json(const EpochRecord&);  // what the answer and the events tell of an epoch
Json with_version(Json config);  // adds "vkfer": version and commit
Json train_answer(const std::filesystem::path& run, const TrainResult&, const std::string& inexact_because,
                  const TrainReport* report = nullptr);

}  // namespace vkfer
