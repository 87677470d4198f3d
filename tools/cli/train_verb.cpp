#include <algorithm>

#include "runtime/error.h"
#include "tools/cli/train_logs.h"
#include "tools/cli/train_repeats.h"
#include "tools/data/atomic_file.h"

namespace vkfer {
namespace {

TrainJob job_of(const Arguments& a, Console& console) {
  const AskedTraining asked = asked_training(a);
  if (a.given("--resume") && is_run(a.resume)) {
    TrainJob job = existing_job(a.resume, console);
    check_agrees(asked, job.settings, job.config.value("recipe", Json()));
    if (asked.given.contains("data")) job.settings.data = asked.settings.data;
    return job;
  }
  if (a.given("--resume") && !asked.names_model())
    fail("--resume", "{}: no run there. Fix: name the folder of a run, or start it with --model as well", a.resume);
  return new_job(asked, a.given("--resume") ? a.resume : a.run, a.from_scratch, console);
}

// Of rates that were tried; there is no run.
void show_rates(const RateSearch& found, const Arguments& a, Console& console) {
  console.print("\n  learning rate      loss  smoothed");
  const size_t every = std::max<size_t>(1, found.points.size() / 20);
  for (size_t i = 0; i < found.points.size(); i += every)
    console.print("  {:>13.3g}  {:>8.4f}  {:>8.4f}{}", found.points[i].lr, found.points[i].loss, found.points[i].smoothed, found.points[i].lr == found.lowest ? "  lowest" : "");
  if (found.valley > 0) console.print("\nsteepest fall at {:.2g}, lowest loss at {:.2g}\nsuggestion: --lr {:.2g}", found.steepest, found.lowest, found.valley);
  else console.print("\nthe loss fell at no rate. Fix: another optimizer, --clip-norm 1, or look at the data");
  if (a.given("--out")) {
    write_file(a.out, std::string_view(a.out.ends_with(".svg") ? rate_svg(found) : rate_csv(found)));
    console.print("curve: {}", a.out);
  }
  Json points = Json::array();
  for (const RatePoint& p : found.points) points.push_back({{"lr", p.lr}, {"loss", p.loss}, {"smoothed", p.smoothed}});
  console.answer({{"suggestion", found.valley}, {"steepest", found.steepest}, {"lowest", found.lowest}, {"points", points}});
}

void train(Arguments& a, Console& console, TrainLogs& logs) {
  if (a.given("--run") && a.given("--resume")) fail("usage", "--run starts a run, --resume goes on with one. Fix: choose one");
  if (a.find_rate && (a.given("--resume") || a.given("--repeats"))) fail("--find-lr", "tries rates from the beginning, once. Fix: leave --resume and --repeats out");
  if (a.given("--out") && !a.find_rate) fail("--out", "goes with --find-lr: a run has a folder. Fix: --run DIR");
  if (a.given("--repeats") || (a.given("--resume") && is_repeats(a.resume))) return train_repeats(a, console, logs);
  TrainJob job = job_of(a, console);
  Trainer trainer(a, console, &logs);
  if (job.finished()) {
    const TrainOutcome outcome = trainer.finished(job);
    console.print("{} is finished: nothing to do", outcome.run.string());
    logs.end(outcome.result, outcome.run);
    return console.answer(train_answer(outcome.run, outcome.result, ""));
  }
  TrainReport report(console);
  if (a.find_rate) return show_rates(trainer.find_rate(std::move(job), report), a, console);
  const TrainOutcome outcome = trainer.run(std::move(job), report);
  report.conclude(outcome.result, outcome.run, outcome.config);
  console.answer(train_answer(outcome.run, outcome.result, outcome.inexact_because, &report));
}

void run_train(Arguments& a, Console& console) {
  const bool events_on_stdout = a.given("--events") && a.events == "-";
  if (events_on_stdout && a.json == "-") fail("--events", "goes to stdout, and so does --json. Fix: name a file for one of them");
  if (events_on_stdout) console.text_to_stderr();
  TrainLogs logs(a, console);
  try {
    train(a, console, logs);
  } catch (const Error& e) {
    logs.failed(e);
    throw;
  }
}

}  // namespace

extern const Verb train_verb;
const Verb train_verb{
    .name = "train",
    .summary = "Train a network; leaves a run folder",
    .arguments = setting_arguments({"--freeze-backbone", "--recipe", "--set", "--from-scratch", "--repeats", "--classes", "--find-lr", "--out", "--run", "--resume", "--tensorboard", "--events", "--device", "--json"}),
    .examples = "  vkfer train --model mobilenetv2\n"
                "  vkfer train --model compact_mobilenetv2 --data fer2013.zip --epochs 20\n"
                "  vkfer train --recipe r4-compact-resnet --data fer2013.zip\n"
                "  vkfer train --recipe r2-vgg19 --data fer2013.zip --repeats 5\n"
                "  vkfer train --resume runs/1\n\n"
                "Ctrl-C finishes the step, saves and exits with status 0; a second one quits at\n"
                "once. Either way --resume goes on, bit for bit as if nothing had happened.",
    .run = run_train,
};

}  // namespace vkfer
