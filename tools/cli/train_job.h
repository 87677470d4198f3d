#pragma once
// A training as verbs start it: what the command line asks for, a run to go on with or a new one, and the run itself.
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "tools/cli/train_logs.h"
#include "tools/cli/train_report.h"
#include "tools/cli/verb.h"
#include "tools/train/interrupt.h"
#include "tools/train/recipe.h"

namespace vkfer {

// The recipe's settings, and what the command line gives over them.
struct AskedTraining {
  TrainSettings settings;          // complete, not resolved; paths absolute
  Json given;                      // of them, what the command line gives
  std::optional<Recipe> recipe;
  bool names_model() const { return given.contains("model") || (recipe && recipe->settings.contains("model")); }
  Json recipe_part() const;        // what config.json says of the recipe; null without one
};
AskedTraining asked_training(const Arguments&);                            // with --recipe
AskedTraining asked_training(std::optional<Recipe>, const Json& given);
void make_paths_absolute(TrainSettings&);                                  // so that a run is resumed and evaluated from any folder
// Fails when the recipe needs weights, and neither they nor --from-scratch are given.
void check_needs(const AskedTraining&, bool from_scratch);

struct TrainJob {
  TrainSettings settings;
  Json recipe;                            // AskedTraining::recipe_part()
  std::optional<RunFolder> folder;        // an existing run's, locked
  Json config;                            // of an existing run
  std::optional<Checkpoint> checkpoint;
  std::string fingerprint;                // what the data must be, see fingerprint(); empty: anything
  std::filesystem::path path;             // where a new run goes; empty: the next free runs/N
  bool finished() const { return checkpoint && checkpoint->finished; }
};

TrainJob new_job(const AskedTraining&, const std::filesystem::path&, bool from_scratch, Console&);
TrainJob existing_job(const std::filesystem::path&, Console&);
std::string fingerprint_of(const Json& config);   // of the data that the run of this config.json was trained on
// A resumed run keeps its settings: what is asked for again must agree. The data may have moved.
void check_agrees(const AskedTraining&, const TrainSettings& saved, const Json& saved_recipe);

struct TrainOutcome {
  std::filesystem::path run;
  TrainResult result;
  Json config;
  TrainSettings settings;                 // of the run, with the data where it is now
  std::string inexact_because;
};

// Trains one job after another on the device that --device names; it is opened when the first job's data is found to be sound.
class Trainer {
 public:
  // `logs`, if any, hear of every run.
  Trainer(const Arguments& arguments, Console& console, TrainLogs* logs = nullptr) : arguments_(arguments), console_(console), logs_(logs) {}
  Device& device();
  // `watch` may add to the hooks.
  TrainOutcome run(TrainJob, TrainReport&, const std::function<void(TrainHooks&)>& watch = {});
  // Instead of a run; leaves nothing.
  RateSearch find_rate(TrainJob, TrainReport&);
  // A finished job: the files are brought in line should the process have been killed at the very end.
  TrainOutcome finished(const TrainJob&) const;

 private:
  const Arguments& arguments_;
  Dataset open(TrainJob&);   // its data; settings checked, and of a new job resolved

  Console& console_;
  TrainLogs* const logs_;
  std::unique_ptr<Device> device_;
  std::optional<InterruptGuard> guard_;   // from the first run on
};

}  // namespace vkfer
