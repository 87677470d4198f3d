#include "tools/cli/train_repeats.h"

#include <cmath>

#include "runtime/error.h"
#include "tools/cli/trained.h"
#include "tools/train/evaluate_samples.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

// Refuses what cannot begin before a folder is made for it.
Repeats new_repeats(const Arguments& a, const AskedTraining& asked, Console& console) {
  if (a.given("--resume") && !asked.names_model())
    fail("--resume", "{}: no run there. Fix: name the folder of a run, or start it with --model as well", a.resume);
  Repeats r{asked.settings, asked.recipe_part(), a.repeats, {}};
  new_job(asked, {}, a.from_scratch, console);
  check_settings(r.settings);
  open_data(r.settings, console);
  return r;
}

Repeats existing_repeats(const Arguments& a, const AskedTraining& asked, const fs::path& folder) {
  Repeats r = read_repeats(folder);
  if (a.given("--repeats") && size_t(a.repeats) < r.runs.size())
    fail("--repeats", "got {}, but {} has {} finished runs. Fix: {} or more", a.repeats, folder.string(), r.runs.size(), r.runs.size());
  if (a.given("--repeats")) r.count = a.repeats;
  check_agrees(asked, r.settings, r.recipe);
  if (asked.given.contains("data")) r.settings.data = asked.settings.data;
  return r;
}

fs::path new_folder(const fs::path& asked) {
  if (asked.empty()) return next_run_folder();
  if (is_run(asked)) fail("--repeats", "{} is a single run. Fix: another folder, or leave --repeats out", asked.string());
  if (is_repeats(asked)) fail("--run", "{} holds repeats already. Fix: --resume {} to go on with them, or another folder", asked.string(), asked.string());
  std::error_code error;
  fs::create_directories(asked, error);
  if (error || !fs::is_directory(asked)) fail("--run", "{}: cannot make the folder: {}", asked.string(), error.message());
  for (const fs::directory_entry& entry : fs::directory_iterator(asked))
    if (const std::string name = entry.path().filename().string(); name != ".lock" && !name.starts_with("repeats."))  // of one that was killed at once
      fail("--run", "{} is not empty ({}). Fix: name a new folder", asked.string(), name);
  return asked;
}

std::string text(double v) { return std::isnan(v) ? std::string("-") : fmt::format("{:.4f}", v); }

void print_statistics(const Repeats& r, Console& console) {
  console.print("\n{} runs, seeds {} to {}", r.runs.size(), r.runs.front().seed, r.runs.back().seed);
  console.print("  {:<5} {:<24.24} {:>8} {:>8} {:>10} {:>8} {:>8}", "", "figure", "mean", "std", "variance", "min", "max");
  for (const FigureStatistics& f : statistics_of(r.runs)) {
    const Statistics& s = f.statistics;
    console.print("  {:<5} {:<24.24} {:>8} {:>8} {:>10} {:>8} {:>8}", f.split, f.name, text(s.mean), text(s.std),
                  std::isnan(s.variance) ? "-" : fmt::format("{:.3g}", s.variance), text(s.min), text(s.max));
  }
  if (r.runs.size() < 2) console.line("  (std and variance need two runs)");
}

TrainJob job_of(const Repeats& r, int i, const fs::path& path, Console& console) {
  if (is_run(path)) {
    TrainJob job = existing_job(path, console);
    job.settings.data = r.settings.data;
    return job;
  }
  TrainJob job;
  if (const fs::path first = path.parent_path() / r.folder(0); i > 0 && is_run(first)) job.fingerprint = fingerprint_of(read_config(first));
  job.settings = r.settings_of(i);
  job.recipe = r.recipe;
  job.path = path;
  return job;
}

// One of the runs, begun or gone on with.
TrainOutcome run_one(const Repeats& r, int i, const fs::path& folder, Trainer& trainer, Console& console) {
  console.print("run {} of {}, seed {}", i + 1, r.count, r.seed(i));
  TrainJob job = job_of(r, i, folder / r.folder(i), console);
  if (job.finished()) return trainer.finished(job);
  TrainReport report(console);
  return trainer.run(std::move(job), report);
}

}  // namespace

RepeatedRun figures_of_run(const TrainOutcome& outcome, Trainer& trainer, const Arguments& a, Console& console) {
  const TrainSettings settings = settings_from_json(outcome.config.at("settings"), outcome.run.string());
  const std::vector<std::string> classes = outcome.config.at("network").at("classes").get<std::vector<std::string>>();
  const TrainResult& result = outcome.result;
  RepeatedRun run{settings.seed, result.best_epoch, int(result.history.size()), {}};
  const EpochRecord& best = result.history.at(size_t(result.best_epoch) - 1);
  run.figures["train"] = figures_of(best.train, classes);
  run.figures["val"] = figures_of(best.val, classes);

  const Dataset dataset = open_data(outcome.settings, console);
  const std::vector<size_t> test = labelled(dataset, "test", settings.valence_arousal, !settings.va_only);
  if (test.empty()) return run;
  const Trained trained{read_network(model_path(outcome.run)), outcome.run, settings, outcome.config};
  const NetworkSettings network = trained.network_on(trainer.device(), asked_precision(a), settings.micro_batch);
  const EvaluatedSamples e = evaluate_samples(trainer.device(), trained.saved, network, trained.target_on(trainer.device()), dataset, test, {
      .skip_bad = settings.skip_bad, .progress = [&](const char* what, size_t done, size_t total) { console.progress(what, double(done), double(total)); }});
  check_validation(trainer.device(), console);
  run.figures["test"] = figures_of(e.evaluation, classes);
  return run;
}

void train_repeats(const Arguments& a, Console& console, TrainLogs& logs) {
  const AskedTraining asked = asked_training(a);
  const bool goes_on = a.given("--resume") && is_repeats(a.resume);
  std::optional<Repeats> begun;
  if (!goes_on) begun = new_repeats(a, asked, console);
  const fs::path folder = goes_on ? fs::path(a.resume) : new_folder(a.given("--resume") ? a.resume : a.run);
  const FolderLock lock(folder);
  Repeats r = begun ? *begun : existing_repeats(a, asked, folder);
  write_repeats(folder, r);
  Trainer trainer(a, console, &logs);
  while (!r.finished()) {
    const TrainOutcome outcome = run_one(r, int(r.runs.size()), folder, trainer, console);
    if (!outcome.result.finished) break;
    r.runs.push_back(figures_of_run(outcome, trainer, a, console));
    write_repeats(folder, r);
  }
  if (!r.runs.empty()) print_statistics(r, console);
  if (r.finished())
    console.print("\nfigures: {}, repeats.csv", (folder / "repeats.json").string());
  else
    console.print("\nstopped after {} of {} runs; everything is saved. To go on: vkfer train --resume {}", r.runs.size(), r.count, folder.string());
  Json answer = {{"run", folder.string()}};
  answer.update(repeats_json(r));
  console.answer(answer);
}

}  // namespace vkfer
