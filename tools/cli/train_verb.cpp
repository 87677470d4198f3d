#include <algorithm>
#include <filesystem>

#include "models/onnx/network.h"
#include "runtime/error.h"
#include "tools/cli/train_report.h"
#include "tools/cli/verb.h"
#include "tools/train/atomic_file.h"
#include "tools/train/interrupt.h"
#include "tools/train/saved_network.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNetworkCopy = "network.onnx";

// Paths are kept absolute, so that a run is resumed and evaluated from any folder.
void make_paths_absolute(TrainSettings& s) {
  if (s.data.empty()) s.data = "builtin";
  if (s.data != "builtin") s.data = fs::absolute(s.data).lexically_normal().string();
  if (is_onnx_path(s.model)) {
    s.model = fs::absolute(s.model).lexically_normal().string();
    if (s.weights.empty()) s.weights = s.model;   // its own
  }
  if (!s.weights.empty()) s.weights = fs::absolute(s.weights).lexically_normal().string();
}

std::string option_name(std::string setting) {
  std::replace(setting.begin(), setting.end(), '_', '-');
  if (setting == "valence-arousal") return "--va";
  if (setting == "norm-decay") return "--no-norm-decay";
  return setting == "flip" ? "--no-flip" : "--" + setting;
}

// A resumed run keeps its settings: what is repeated on the command line must agree. The data may have moved.
void check_agrees(const Arguments& a, const TrainSettings& saved) {
  TrainSettings given = a;
  make_paths_absolute(given);
  given.model = find_model(given.model).reference();
  const Json ours = settings_json(given), theirs = settings_json(saved);
  for (const auto& [name, value] : ours.items())
    if (name != "data" && a.given(option_name(name)) && value != theirs.at(name))
      fail(option_name(name), "got {}, but the run was started with {}. Fix: leave it out, or start a new run", value.dump(),
           theirs.at(name).dump());
}

// One validation picture of each class, to try `infer` on. Of drawn faces only: pictures of people stay where they are.
void write_examples(const Dataset& dataset, const fs::path& folder) {
  if (!dataset.synthetic()) return;
  fs::create_directories(folder);
  std::vector<bool> written(dataset.classes().size());
  for (const size_t i : dataset.split("val")) {
    const int label = dataset.sample(i).label;
    if (label < 0 || written[size_t(label)]) continue;
    written[size_t(label)] = true;
    write_png(folder / (dataset.classes()[size_t(label)] + ".png"), dataset.image(i));
  }
}

// A run to go on with, or a new one.
struct Job {
  TrainSettings settings;
  std::optional<RunFolder> folder;        // an existing run's, locked
  Json config;                            // of an existing run
  std::optional<Checkpoint> checkpoint;
  fs::path path;                          // where a new run goes; empty: the next free runs/N
};

Job existing_job(const Arguments& a, Console& console) {
  Job job;
  job.path = a.resume;
  job.folder.emplace(RunFolder::open(a.resume));
  job.config = read_config(a.resume);
  job.settings = settings_from_json(job.config.value("settings", Json()), (job.path / "config.json").string());
  // Of a network that came from a file the run keeps a copy.
  if (is_onnx_path(job.settings.model)) onnx_network((job.path / kNetworkCopy).string(), job.settings.model);
  check_agrees(a, job.settings);
  if (a.given("--data")) job.settings.data = a.data;
  make_paths_absolute(job.settings);
  job.checkpoint = job.folder->load([&](const std::string& line) { console.notice(line); });
  if (!job.checkpoint) console.print("{} has no checkpoint yet: starting from the beginning", a.resume);
  return job;
}

Job new_job(const Arguments& a) {
  if (a.given("--resume") && !a.given("--model"))
    fail("--resume", "{}: no run there. Fix: name the folder of a run, or start it with --model as well", a.resume);
  Job job;
  job.settings = a;
  make_paths_absolute(job.settings);
  job.path = a.given("--resume") ? a.resume : a.run;
  return job;
}

// Nothing left to do: the files are brought in line should the process have been killed at the very end.
bool already_finished(const Job& job, Console& console) {
  if (!job.checkpoint || !job.checkpoint->finished) return false;
  job.folder->derive(*job.checkpoint, job.config.at("network").at("classes").get<std::vector<std::string>>());
  console.print("{} is finished: nothing to do", job.path.string());
  console.answer(train_answer(job.path, {true, job.checkpoint->history, job.checkpoint->best_epoch}, ""));
  return true;
}

void check_same_data(const Job& job, const Dataset& dataset) {
  if (!job.folder) return;
  const std::string saved = job.config.at("data").at("fingerprint"), now = fingerprint(dataset, job.settings.valence_arousal);
  if (saved != now)
    fail("data", "{} is not what the run was trained on (fingerprint {}, expected {}). Fix: --data where it is now",
         dataset.source(), now, saved);
}

// What a person expects of the data, as a number or as names in the order of the labels.
void check_expected_classes(const std::string& expected, const Dataset& dataset) {
  if (expected.empty()) return;
  const std::string names = fmt::format("{}", fmt::join(dataset.classes(), ","));
  if (expected != names && expected != std::to_string(dataset.classes().size()))
    fail("--classes", "got {}, but {} has {}: {}. Fix: leave it out, or give other data", expected, dataset.source(), dataset.classes().size(), names);
}

// Tries rates and leaves no run.
void find_rate(const Arguments& a, Training& training, Console& console) {
  const RateSearch found = training.find_rate({});
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

void run_train(Arguments& a, Console& console) {
  if (a.find_rate && a.given("--resume")) fail("--find-lr", "tries rates from the beginning. Fix: leave --resume out");
  if (a.given("--out") && !a.find_rate) fail("--out", "goes with --find-lr: a run has a folder. Fix: --run DIR");
  if (a.given("--run") && a.given("--resume")) fail("usage", "--run starts a run, --resume goes on with one. Fix: choose one");
  Job job = a.given("--resume") && is_run(a.resume) ? existing_job(a, console) : new_job(a);
  if (already_finished(job, console)) return;
  check_settings(job.settings);
  const Dataset dataset = open_data(job.settings, console);
  check_expected_classes(a.class_names, dataset);
  check_same_data(job, dataset);
  if (!job.folder) {
    job.settings = resolve_settings(job.settings, dataset.native_size());
    follow_weights(job.settings);
  }

  Device device = open_device(a, console);
  const InterruptGuard guard;
  TrainReport report(console);
  Training training(device, dataset, job.settings, std::move(job.checkpoint), report.hooks());
  if (a.find_rate) return find_rate(a, training, console);
  if (!job.folder) {
    job.folder.emplace(RunFolder::create(job.path));
    if (is_onnx_path(job.settings.model)) write_file(job.folder->path() / kNetworkCopy, std::string_view(onnx_bytes(read_onnx(job.settings.model))));
    job.config = with_version(training.config());
    job.folder->write_config(job.config);
    write_examples(dataset, job.folder->path() / "examples");
  }
  report.introduce(job.config, job.folder->path(), device);
  if (!training.inexact_because().empty())
    console.notice(fmt::format("going on, but no longer bit for bit as without the interruption: {}", training.inexact_because()));
  const TrainResult result = training.run(*job.folder);
  check_validation(device, console);
  report.conclude(result, job.folder->path());
  console.answer(train_answer(job.folder->path(), result, training.inexact_because(), &report));
}

}  // namespace

extern const Verb train_verb;
const Verb train_verb{
    .name = "train",
    .summary = "Train a network; leaves a run folder",
    .arguments = {"--model", "--data", "--size", "--channels", "--batch", "--epochs", "--optimizer", "--lr", "--momentum",
                  "--nesterov", "--weight-decay", "--schedule", "--warmup-epochs", "--drop-epochs", "--drop-factor",
                  "--min-lr", "--plateau-patience", "--monitor", "--patience", "--min-delta", "--class-weights", "--focal-gamma",
                  "--clip-norm", "--ema",
                  "--label-smoothing", "--dropout", "--no-flip", "--crop", "--rotate", "--shift", "--shear", "--zoom", "--perspective", "--brightness", "--contrast", "--saturation", "--erase", "--mixup", "--cutmix", "--va-loss", "--task-weights", "--no-norm-decay", "--backbone-rate", "--find-lr", "--out",
                   "--seed", "--val-fraction", "--test-fraction",
                  "--skip-bad", "--weights", "--preprocessing", "--padding", "--batch-norm", "--head", "--va", "--freeze", "--freeze-backbone", "--precision",
                  "--memory-budget", "--micro-batch", "--recompute",
                  "--classes", "--run", "--resume", "--device", "--json"},
    .examples = "  vkfer train --model mobilenetv2\n"
                "  vkfer train --model compact_mobilenetv2 --data fer2013.zip --epochs 20\n"
                "  vkfer train --resume runs/1\n\n"
                "Ctrl-C finishes the step, saves and exits with status 0; a second one quits at\n"
                "once. Either way --resume goes on, bit for bit as if nothing had happened.",
    .run = run_train,
};

}  // namespace vkfer
