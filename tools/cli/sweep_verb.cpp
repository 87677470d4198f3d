#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tools/cli/train_repeats.h"
#include "tools/data/atomic_file.h"
#include "tools/train/sweep_plan.h"
#include "tools/train/sweep_table.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

std::string padded(int number) { return fmt::format("{:03}", number); }

// The recipe with what the command line gives over it, as a plan and as what a training is asked for.
struct AskedSweep {
  AskedTraining training;
  SweepPlan plan;
  std::string name;                        // of the recipe
  std::string monitor() const { return plan.monitor.empty() ? training.settings.monitored() : plan.monitor; }
};

AskedSweep asked_sweep(const Arguments& a) {
  Recipe recipe = load_recipe(a.positional.at(0));
  const Json given = a.given_settings();
  AskedSweep s{asked_training(recipe, given), {}, recipe.name};
  recipe.settings.update(given);
  s.plan = plan_sweep(std::move(recipe), a.given("--trials") ? a.trials : 0, a.given("--repeats") ? a.repeats : 0);
  for (const Json& trial : s.plan.trials)
    for (const auto& [name, value] : trial.items())
      if (given.contains(name)) fail(setting_option(name), "the sweep tries its values itself. Fix: leave it out");
  return s;
}

// Of one trial and repeat. `given` says in the run's config.json what was put over the recipe.
AskedTraining trial_training(const AskedSweep& asked, size_t trial, int repeat) {
  AskedTraining t = asked.training;
  const Json& settings = asked.plan.trials[trial];
  t.given.update(settings);
  apply_settings(t.given, t.settings);
  make_paths_absolute(t.settings);
  if (t.settings.split_seed == 0) t.settings.split_seed = asked.training.settings.seed;  // all are tested on the same faces
  t.settings.seed += uint64_t(repeat);
  return t;
}

// What decides on figures; the data may move, and there may be more trials.
Json description_of(const AskedSweep& asked) {
  Json d = asked.plan.description();
  d["settings"].erase("data");
  return d;
}

class Sweep {
 public:
  // `data` is what it is trained on, as fingerprint() tells it.
  Sweep(const Arguments& a, Console& console, AskedSweep asked, const fs::path& folder, const std::string& data)
      : arguments_(a), console_(console), asked_(std::move(asked)), folder_(folder), lock_(folder), store_(folder / "sweep.sqlite"), trainer_(a, console) {
    store_.begin(description_of(asked_), asked_.plan.trials);
    const std::string before = store_.value("data");
    if (!before.empty() && before != data) fail("data", "it is not what the sweep was begun with (fingerprint {}, expected {}). Fix: --data where it is now", data, before);
    store_.set_value("data", data);
  }

  // False when it was asked to stop.
  bool run() {
    for (size_t trial = 0; trial < asked_.plan.trials.size(); ++trial)
      for (int repeat = 0; repeat < asked_.plan.repeats; ++repeat) {
        const RunStatus known = store_.status(int(trial) + 1, repeat);
        const bool over = known == RunStatus::finished || known == RunStatus::pruned || known == RunStatus::diverged;
        const RunStatus ended = over ? known : run_one(trial, repeat);
        if (ended == RunStatus::running) return false;
        if (ended == RunStatus::finished || ended == RunStatus::pruned) drop_checkpoints(trial, repeat);
        if (ended != RunStatus::finished) break;  // its other seeds would fare no better
      }
    return true;
  }

  std::vector<SweptTrial> trials() {
    std::vector<SweptTrial> all = store_.trials();
    all.resize(std::min(all.size(), asked_.plan.trials.size()));
    return all;
  }
  const SweepPlan& plan() const { return asked_.plan; }
  std::string monitor() const { return asked_.monitor(); }

 private:
  fs::path path_of(size_t trial, int repeat) const { return folder_ / ("trial-" + padded(int(trial) + 1)) / ("repeat-" + std::to_string(repeat + 1)); }

  // A run that has ended is not gone on with, and a hundred of them would fill the disk.
  void drop_checkpoints(size_t trial, int repeat) const {
    std::error_code error;
    fs::remove_all(path_of(trial, repeat) / "checkpoint", error);
  }

  TrainJob job_of(const AskedTraining& training, const fs::path& path) {
    if (!is_run(path)) return new_job(training, path, arguments_.from_scratch, console_);
    TrainJob job = existing_job(path, console_);
    job.settings.data = training.settings.data;
    return job;
  }

  RunStatus run_one(size_t trial, int repeat) {
    const int number = int(trial) + 1;
    const AskedTraining training = trial_training(asked_, trial, repeat);
    console_.print("\ntrial {} of {}{}: {}", number, asked_.plan.trials.size(), asked_.plan.repeats > 1 ? fmt::format(", repeat {}", repeat + 1) : "",
                   settings_text(asked_.plan.trials[trial]));
    store_.start(number, repeat, training.settings.seed);
    try {
      return train(training, number, repeat, path_of(trial, repeat));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::bad_input) throw;  // the device has failed, not the trial
      RepeatedRun nothing;
      nothing.seed = training.settings.seed;
      return end(number, repeat, dynamic_cast<const Diverged*>(&e) ? RunStatus::diverged : RunStatus::failed, e.what(), nothing);
    }
  }

  RunStatus train(const AskedTraining& training, int number, int repeat, const fs::path& path) {
    TrainJob job = job_of(training, path);

    // The run's checkpoint may know more epochs than the store, and the store never one that the run does not come to again.
    const MonitorDef& figure = find_monitor(monitor());
    const std::vector<std::vector<double>> others = store_.monitored_before(number);
    std::vector<EpochRecord> history;
    std::vector<double> monitored;
    const auto see = [&](const EpochRecord& r) {
      history.push_back(r);
      monitored.push_back(figure.figure(r));
      store_.add_epochs(number, repeat, {&r, 1}, figure);
    };
    const auto give_up = [&] { return repeat == 0 && !history.empty() && hopeless(asked_.plan, monitored, others); };
    if (job.checkpoint)
      for (const EpochRecord& r : job.checkpoint->history) see(r);

    TrainOutcome outcome = job.finished() ? trainer_.finished(job) : TrainOutcome{job.path, {}, job.config, job.settings, ""};
    if (!job.finished() && !give_up()) {
      TrainReport report(console_);
      outcome = trainer_.run(std::move(job), report, [&](TrainHooks& hooks) {
        hooks.epoch = [&, before = hooks.epoch](const EpochRecord& r, bool best) {
          before(r, best);
          see(r);
        };
        hooks.stop = [&, before = hooks.stop] { return before() || give_up(); };
      });
    }
    if (outcome.result.finished) return end(number, repeat, RunStatus::finished, "", figures_of_run(outcome, trainer_, arguments_, console_));
    if (!give_up()) return RunStatus::running;
    return end(number, repeat, RunStatus::pruned, fmt::format("given up after epoch {}", history.size()), pruned_figures(outcome, history, training.settings.seed));
  }

  static RepeatedRun pruned_figures(const TrainOutcome& outcome, const std::vector<EpochRecord>& history, uint64_t seed) {
    const std::vector<std::string> classes = outcome.config.at("network").at("classes").get<std::vector<std::string>>();
    RepeatedRun run{seed, best_epoch(find_monitor(outcome.settings.monitored()), history), int(history.size()), {}};
    const EpochRecord& best = history[size_t(run.best_epoch) - 1];
    run.figures = {{"train", figures_of(best.train, classes)}, {"val", figures_of(best.val, classes)}};
    return run;
  }

  RunStatus end(int trial, int repeat, RunStatus status, const std::string& message, const RepeatedRun& run) {
    store_.finish(trial, repeat, status, message, run);
    if (!message.empty()) console_.print("trial {} {}: {}", trial, to_string(status), message);
    return status;
  }

  const Arguments& arguments_;
  Console& console_;
  const AskedSweep asked_;
  const fs::path folder_;
  const FolderLock lock_;
  SweepStore store_;
  Trainer trainer_;
};

// ---- the table ----------------------------------------------------------------------------------------------------------

std::string figure_text(const SweepRow& row, const std::string& name) {
  const auto it = row.figures.find(name);
  if (it == row.figures.end() || std::isnan(it->second.mean)) return "-";
  return it->second.n > 1 ? fmt::format("{:.4f} ±{:.4f}", it->second.mean, it->second.std) : fmt::format("{:.4f}", it->second.mean);
}

void print_table(const std::vector<SweepRow>& rows, const std::string& sort, Console& console) {
  std::vector<std::string> shown{sort};
  for (const char* name : {"val_accuracy", "val_macro_f1", "val_ccc", "test_accuracy", "test_ccc"})
    if (name != sort && std::ranges::any_of(rows, [&](const SweepRow& r) { return r.figures.count(name) != 0; })) shown.emplace_back(name);
  std::string header = fmt::format("\n{:>5}  {:<8}", "trial", "status");
  for (const std::string& name : shown) header += fmt::format("  {:<16.16}", name);
  console.line(header + "  settings");
  for (const SweepRow& row : rows) {
    std::string line = fmt::format("{:>5}  {:<8}", row.trial->number, to_string(row.status));
    for (const std::string& name : shown) line += fmt::format("  {:<16}", figure_text(row, name));
    console.line(line + "  " + settings_text(row.trial->settings));
  }
}

// ---- the verb -----------------------------------------------------------------------------------------------------------

// Everything that can be wrong is found before a folder is made. Returns the data's fingerprint.
std::string check(const Arguments& a, const AskedSweep& asked, Console& console) {
  for (size_t trial = 0; trial < asked.plan.trials.size(); ++trial) {
    const AskedTraining training = trial_training(asked, trial, 0);
    check_needs(training, a.from_scratch);
    check_monitor(find_monitor(asked.monitor()), !training.settings.va_only, training.settings.answers_affect());
  }
  return fingerprint(open_data(asked.training.settings, console), asked.training.settings.answers_affect());
}

fs::path folder_of(const Arguments& a, const AskedSweep& asked) {
  const fs::path folder = a.given("--run") ? fs::path(a.run) : fs::path("runs") / asked.name;
  std::error_code error;
  if (fs::exists(folder / "sweep.sqlite", error)) return folder;
  if (is_run(folder) || is_repeats(folder)) fail("--run", "{} holds a run, no sweep. Fix: --run another folder", folder.string());
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder)) fail("--run", "{}: cannot make the folder: {}", folder.string(), error.message());
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().filename() != ".lock") fail("--run", "{} is not empty ({}). Fix: name a new folder", folder.string(), entry.path().filename().string());
  return folder;
}

void tell_failures(const std::vector<SweptTrial>& trials) {
  for (const SweptTrial& trial : trials)
    for (const SweptRun& run : trial.runs)
      if (run.status == RunStatus::failed) fail("sweep", "trial {} has failed: {}. Fix: mend the cause; the same command tries again what has failed", trial.number, run.message);
}

void run_sweep(Arguments& a, Console& console) {
  if (a.positional.empty()) fail("usage", "the sweep's recipe is missing. Fix: vkfer sweep recipes/r2-learning-rate.toml");
  AskedSweep asked = asked_sweep(a);
  const std::string data = check(a, asked, console);
  const fs::path folder = folder_of(a, asked);
  Sweep sweep(a, console, std::move(asked), folder, data);
  const std::string sort = a.given("--sort") ? a.sort : sweep.monitor();
  sweep_rows(sweep.trials(), sweep.plan().repeats, sort);  // a wrong name is told before, not after days
  const bool done = sweep.run();

  const std::vector<SweptTrial> trials = sweep.trials();
  const std::vector<SweepRow> rows = sweep_rows(trials, sweep.plan().repeats, sort);
  print_table(rows, sort, console);
  const Json answer = {{"sweep", folder.string()}, {"finished", done}, {"sort", sort}, {"repeats", sweep.plan().repeats}, {"trials", sweep_json(rows)}};
  write_file(folder / "table.csv", sweep_csv(rows));
  write_file(folder / "table.json", answer.dump(2) + "\n");
  if (done)
    console.print("\nall figures: {}, table.json, sweep.sqlite", (folder / "table.csv").string());
  else
    console.print("\nstopped; everything is saved. The same command goes on.");
  console.answer(answer);
  tell_failures(trials);
}

}  // namespace

extern const Verb sweep_verb;
const Verb sweep_verb{
    .name = "sweep",
    .summary = "Try many settings, and go on when interrupted",
    .arguments = setting_arguments({"--freeze-backbone", "--set", "--from-scratch", "--trials", "--repeats", "--sort", "--run", "--device", "--json"}),
    .positional = "recipe",
    .positional_help = "a recipe with a [sweep]: see docs/sweeps.md",
    .max_positional = 1,
    .examples = "  vkfer sweep recipes/r2-learning-rate.toml --data fer2013.zip --repeats 5\n"
                "  vkfer sweep mine.toml --trials 30 --sort val_macro_f1 --run sweeps/mine\n\n"
                "The same command goes on where it was, whenever it was interrupted or killed;\n"
                "when all is done it prints the table again. A sweep is in runs/NAME, unless\n"
                "--run says otherwise.",
    .run = run_sweep,
};

}  // namespace vkfer
