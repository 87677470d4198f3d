#include "tools/cli/sweep_run.h"

#include <algorithm>
#include <ranges>
#include <thread>

#include "runtime/error.h"
#include "tools/cli/train_repeats.h"
#include "tools/data/csv.h"
#include "tools/train/sweep_table.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

std::string padded(int number) { return fmt::format("{:03}", number); }

// What decides on figures; the data may move, and there may be more trials.
Json description_of(const AskedSweep& asked) {
  Json d = asked.plan.description();
  d["settings"].erase("data");
  return d;
}

std::vector<std::string> device_names(const Arguments& a) {
  const std::vector<std::string_view> parts = split_at(',', a.device);
  const std::vector<std::string> names(parts.begin(), parts.end());
  if (names.size() > 1 && std::ranges::any_of(names, &std::string::empty)) fail("--device", "got '{}', expected names or numbers with commas between them", a.device);
  return names;
}

TrainJob job_of(const Arguments& arguments, Console& console, const AskedTraining& training, const fs::path& path) {
  if (!is_run(path)) return new_job(training, path, arguments.from_scratch, console);
  TrainJob job = existing_job(path, console);
  job.settings.data = training.settings.data;
  return job;
}

RepeatedRun pruned_figures(const TrainOutcome& outcome, const std::vector<EpochRecord>& history, uint64_t seed) {
  const std::vector<std::string> classes = outcome.config.at("network").at("classes").get<std::vector<std::string>>();
  RepeatedRun run{seed, best_epoch(find_monitor(outcome.settings.monitored()), history), int(history.size()), {}};
  const EpochRecord& best = history[size_t(run.best_epoch) - 1];
  run.figures = {{"train", figures_of(best.train, classes)}, {"val", figures_of(best.val, classes)}};
  return run;
}

}  // namespace

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

// A device at work. Beside others it says what it does into a file of its own.
struct Sweep::Worker {
  Arguments arguments;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> log{nullptr, std::fclose};
  std::unique_ptr<Console> own;
  Console* console;
  std::string name;
  std::unique_ptr<Trainer> trainer;

  Worker(const Arguments& a, const std::string& device, Console* shared, const fs::path& folder, size_t number) : arguments(a), console(shared), name(fmt::format("device-{}", number)) {
    arguments.device = device;
    if (!console) {
      const fs::path path = folder / (name + ".log");
      log.reset(std::fopen(path.c_str(), "a"));
      if (!log) fail("sweep", "{}: cannot write there", path.string());
      own = std::make_unique<Console>(log.get());
      console = own.get();
    }
    trainer = std::make_unique<Trainer>(arguments, *console);
  }
};

Sweep::Sweep(const Arguments& a, Console& console, AskedSweep asked, const fs::path& folder, const std::string& data)
    : console_(console), asked_(std::move(asked)), folder_(folder), lock_(folder), store_(folder / "sweep.sqlite") {
  store_.begin(description_of(asked_), asked_.plan.trials);
  agree("data", data, "data", "it is not what the sweep was begun with (fingerprint {}, expected {}). Fix: --data where it is now");
  const std::vector<std::string> devices = device_names(a);
  for (const std::string& device : devices) {
    workers_.emplace_back(a, device, devices.size() > 1 ? nullptr : &console, folder_, workers_.size() + 1);
    if (devices.size() > 1) workers_.back().trainer->device();   // what is not there is told before anything begins
  }
  if (asked_.plan.prune)
    agree("devices", std::to_string(devices.size()), "--device",
          "number of devices: got {}, expected {} as when the sweep was begun: it decides with whom a trial is compared. Fix: name as many as then");
  over_.resize(asked_.plan.trials.size());
}

Sweep::~Sweep() = default;

bool Sweep::run() {
  if (workers_.size() == 1) {
    work(workers_[0]);
  } else {
    std::vector<std::jthread> threads;
    for (Worker& worker : workers_) threads.emplace_back([this, &worker] { work(worker); });
  }
  if (failure_) std::rethrow_exception(failure_);
  return !stopped_;
}

std::vector<SweptTrial> Sweep::trials() {
  const std::lock_guard lock(mutex_);
  std::vector<SweptTrial> all = store_.trials();
  all.resize(std::min(all.size(), asked_.plan.trials.size()));
  return all;
}

// A value of the sweep that must be what it was when the sweep began.
void Sweep::agree(const std::string& key, const std::string& value, std::string_view where, fmt::format_string<const std::string&, const std::string&> text) {
  const std::string before = store_.value(key);
  if (!before.empty() && before != value) fail(where, text, value, before);
  store_.set_value(key, value);
}

// Takes trials, in their order, until there are none or it is asked to stop.
void Sweep::work(Worker& worker) {
  try {
    while (const std::optional<size_t> trial = next_trial()) {
      if (!run_trial(worker, *trial)) return stop();
      const std::lock_guard lock(mutex_);
      over_[*trial] = true;
      turn_.notify_all();
    }
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    stop();
  }
}

void Sweep::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  turn_.notify_all();
}

bool Sweep::asked_to_stop() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

// With pruning a trial waits until those that it is compared with are over, so that the end does not depend on who was faster.
std::optional<size_t> Sweep::next_trial() {
  std::unique_lock lock(mutex_);
  if (stopped_ || next_ == over_.size()) return std::nullopt;
  const size_t trial = next_++;
  turn_.wait(lock, [&] { return stopped_ || !asked_.plan.prune || std::ranges::all_of(over_ | std::views::take(compared_before(trial)), [](bool b) { return b; }); });
  if (stopped_) return std::nullopt;
  return trial;
}

// How many of the first trials are compared with this one: all before it but those that other devices may be at work on.
size_t Sweep::compared_before(size_t trial) const { return trial - std::min(trial, workers_.size() - 1); }

// All repeats of one; false when it was asked to stop.
bool Sweep::run_trial(Worker& worker, size_t trial) {
  for (int repeat = 0; repeat < asked_.plan.repeats; ++repeat) {
    const RunStatus known = with_store([&](SweepStore& s) { return s.status(int(trial) + 1, repeat); });
    const bool over = known == RunStatus::finished || known == RunStatus::pruned || known == RunStatus::diverged;
    const RunStatus ended = over ? known : run_one(worker, trial, repeat);
    if (ended == RunStatus::running) return false;
    if (ended == RunStatus::finished || ended == RunStatus::pruned) drop_checkpoints(trial, repeat);
    if (ended != RunStatus::finished) break;  // its other seeds would fare no better
  }
  return true;
}

// Of a worker beside others: to the person, whose console they share.
void Sweep::tell(const Worker& worker, const std::string& text) {
  worker.console->line(text);
  if (workers_.size() == 1) return;
  const std::lock_guard lock(mutex_);
  console_.print("{}: {}", worker.name, text);
}

fs::path Sweep::path_of(size_t trial, int repeat) const { return folder_ / ("trial-" + padded(int(trial) + 1)) / ("repeat-" + std::to_string(repeat + 1)); }

// A run that has ended is not gone on with, and a hundred of them would fill the disk.
void Sweep::drop_checkpoints(size_t trial, int repeat) const {
  std::error_code error;
  fs::remove_all(path_of(trial, repeat) / "checkpoint", error);
}

RunStatus Sweep::run_one(Worker& worker, size_t trial, int repeat) {
  const int number = int(trial) + 1;
  const AskedTraining training = trial_training(asked_, trial, repeat);
  if (workers_.size() == 1) console_.line("");
  tell(worker, fmt::format("trial {} of {}{}: {}", number, asked_.plan.trials.size(), asked_.plan.repeats > 1 ? fmt::format(", repeat {}", repeat + 1) : "",
                           settings_text(asked_.plan.trials[trial])));
  with_store([&](SweepStore& s) { s.start(number, repeat, training.settings.seed); });
  try {
    return train(worker, training, number, repeat, path_of(trial, repeat));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::bad_input) throw;  // the device has failed, not the trial
    RepeatedRun nothing;
    nothing.seed = training.settings.seed;
    return end(worker, number, repeat, dynamic_cast<const Diverged*>(&e) ? RunStatus::diverged : RunStatus::failed, e.what(), nothing);
  }
}

RunStatus Sweep::train(Worker& worker, const AskedTraining& training, int number, int repeat, const fs::path& path) {
  TrainJob job = job_of(worker.arguments, *worker.console, training, path);

  // The run's checkpoint may know more epochs than the store, and the store never one that the run does not come to again.
  const MonitorDef& figure = find_monitor(monitor());
  const std::vector<std::vector<double>> others = with_store([&](SweepStore& s) { return s.monitored_before(int(compared_before(size_t(number) - 1)) + 1); });
  std::vector<EpochRecord> history;
  std::vector<double> monitored;
  const auto see = [&](const EpochRecord& r) {
    history.push_back(r);
    monitored.push_back(figure.figure(r));
    with_store([&](SweepStore& s) { s.add_epochs(number, repeat, {&r, 1}, figure); });
  };
  const auto give_up = [&] { return repeat == 0 && !history.empty() && hopeless(asked_.plan, monitored, others); };
  if (job.checkpoint)
    for (const EpochRecord& r : job.checkpoint->history) see(r);

  TrainOutcome outcome = job.finished() ? worker.trainer->finished(job) : TrainOutcome{job.path, {}, job.config, job.settings, ""};
  if (!job.finished() && !give_up()) {
    TrainReport report(*worker.console);
    outcome = worker.trainer->run(std::move(job), report, [&](TrainHooks& hooks) {
      hooks.epoch = [&, before = hooks.epoch](const EpochRecord& r, bool best) {
        before(r, best);
        see(r);
      };
      hooks.stop = [&, before = hooks.stop] { return before() || give_up() || asked_to_stop(); };
    });
  }
  if (outcome.result.finished) {
    const RepeatedRun figures = figures_of_run(outcome, *worker.trainer, worker.arguments, *worker.console);
    if (workers_.size() > 1) tell(worker, fmt::format("trial {}: {} {:.4f} in epoch {}", number, monitor(), monitored.at(size_t(figures.best_epoch) - 1), figures.best_epoch));
    return end(worker, number, repeat, RunStatus::finished, "", figures);
  }
  if (!give_up()) return RunStatus::running;
  return end(worker, number, repeat, RunStatus::pruned, fmt::format("given up after epoch {}", history.size()), pruned_figures(outcome, history, training.settings.seed));
}

RunStatus Sweep::end(const Worker& worker, int trial, int repeat, RunStatus status, const std::string& message, const RepeatedRun& run) {
  with_store([&](SweepStore& s) { s.finish(trial, repeat, status, message, run); });
  if (!message.empty()) tell(worker, fmt::format("trial {} {}: {}", trial, to_string(status), message));
  return status;
}

}  // namespace vkfer
