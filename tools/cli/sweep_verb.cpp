#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tools/cli/sweep_run.h"
#include "tools/cli/train_repeats.h"
#include "tools/data/atomic_file.h"
#include "tools/train/sweep_table.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

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
                "  vkfer sweep mine.toml --trials 30 --sort val_macro_f1 --run sweeps/mine\n"
                "  vkfer sweep mine.toml --device 0,1        trials side by side, one a device\n\n"
                "The same command goes on where it was, whenever it was interrupted or killed;\n"
                "when all is done it prints the table again. A sweep is in runs/NAME, unless\n"
                "--run says otherwise.",
    .run = run_sweep,
};

}  // namespace vkfer
