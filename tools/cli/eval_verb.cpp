#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tools/cli/eval_print.h"
#include "tools/cli/distinct_files.h"
#include "tools/cli/evaluated_data.h"
#include "tools/cli/verb.h"
#include "tools/data/csv.h"
#include "tools/metrics/calibration.h"
#include "tools/train/evaluate_samples.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

// Several runs answer together.
std::vector<Trained> open_members(const Arguments& a) {
  for (const std::string& path : a.positional)
    if (!is_run(path)) fail("run", "{}: no run there. Fix: name the folder of a run, as in vkfer eval runs/1", path);
  std::vector<Trained> members;
  std::vector<std::string> runs = a.positional;
  do {
    std::vector<std::string> one(runs.begin(), runs.begin() + ptrdiff_t(!runs.empty()));
    members.push_back(open_trained(a, one));
    if (!one.empty()) fail("usage", "a run and --weights both name weights. Fix: choose one");
    if (!runs.empty()) runs.erase(runs.begin());
  } while (!runs.empty());
  const SavedNetwork& first = members[0].saved;
  for (const Trained& m : members)
    if (m.saved.classes != first.classes || m.saved.network.classes != first.network.classes || m.saved.network.valence_arousal != first.network.valence_arousal)
      fail("ensemble", "{} answers {} and {} answers {}. Fix: runs of the same classes and outputs", members[0].run.string(), fmt::join(first.classes, ", "),
           m.run.string(), fmt::join(m.saved.classes, ", "));
  return members;
}

// What all members say of one split, together.
class Ensemble {
 public:
  Ensemble(Arguments& a, Console& console, const EvaluatedData& data, const std::vector<Trained>& members)
      : a_(a), console_(console), data_(data), members_(members), device_(open_device(a, console)) {}

  EvaluatedSamples on(const std::string& split) {
    const Dataset& dataset = data_.dataset;
    const std::vector<size_t> indices = labelled(dataset, split, members_[0].saved.network.valence_arousal, !data_.classes.empty());
    if (indices.empty()) fail("--split", "{} has no labelled image in '{}'. Fix: another split", dataset.source(), split);
    EvaluatedSamples all;
    std::vector<Predictions> said;
    for (const Trained& member : members_) {
      EvaluatedSamples e = evaluated(member, indices);
      said.push_back(std::move(e.predictions));
      if (said.size() == 1) all = std::move(e);
      else if (e.samples != all.samples) fail("ensemble", "the runs could not read the same images. Fix: vkfer data inspect {}", dataset.source());
    }
    check_validation(device_, console_);
    all.predictions = mean_of(said);
    return all;
  }

 private:
  EvaluatedSamples evaluated(const Trained& member, const std::vector<size_t>& indices) {
    return evaluate_samples(device_, member.saved, member.network_on(device_, asked_precision(a_), asked_batch(a_)), member.target_on(device_), data_.dataset, indices,
                            {.label_map = data_.label_map, .skip_bad = data_.skip_bad, .views = a_.tta, .progress = [this](const char* what, size_t done, size_t total) {
                               console_.progress(what, double(done), double(total), fmt::format("{}/{}", done, total));
                             }});
  }

  Arguments& a_;
  Console& console_;
  const EvaluatedData& data_;
  const std::vector<Trained>& members_;
  Device device_;
};

double temperature_from_text(const std::string& text) {
  double t = 1;
  if (!text.empty() && !(parse_number(text, t) && t >= 0.01 && t <= 100)) fail("--temperature", "got '{}', expected a number from 0.01 to 100, or fit", text.substr(0, 100));
  return t;
}

// --temperature: a number, or "fit" to the validation split.
double temperature_of(const Arguments& a, const Dataset& dataset, Ensemble& ensemble) {
  if (a.temperature != "fit") return temperature_from_text(a.temperature);
  const std::vector<size_t> fitted_to = dataset.split("val"), judged = dataset.split(a.split);
  if (std::ranges::any_of(judged, [&](size_t i) { return std::ranges::binary_search(fitted_to, i); }))
    fail("--temperature", "got fit with --split {}: it would be judged by what it was fitted to. Fix: --split {}", a.split, dataset.official_split() ? "PrivateTest" : "test");
  const Predictions p = ensemble.on("val").predictions;
  return fitted_temperature(p.probabilities, p.labels, p.classes);
}

void run_eval(Arguments& a, Console& console) {
  check_distinct_files({{"--csv", a.csv}, {"--predictions", a.predictions}}, {{"--data", a.data}, {"--weights", a.weights}});
  const std::vector<Trained> members = open_members(a);
  const Trained& first = members[0];
  test_time_views(a.tta, first.saved.network.size);
  const EvaluatedData data = evaluated_data(a, first, console);
  const Dataset& dataset = data.dataset;
  for (const Trained& member : members) warn_of_other_split(member, dataset, console);
  EvalReport report;
  report.classes = data.classes;
  report.resamples = a.bootstrap;
  if (!a.temperature.empty() && report.classes.empty()) fail("--temperature", "the network has no classes. Fix: leave it out");

  Ensemble ensemble(a, console, data, members);
  const double temperature = temperature_of(a, dataset, ensemble);
  EvaluatedSamples e = ensemble.on(a.split);
  report.predictions = std::move(e.predictions);
  report.samples = std::move(e.samples);
  if (temperature != 1) report.predictions.probabilities = tempered(report.predictions.probabilities, report.predictions.classes, temperature);
  // A network by itself repeats training's figures to the bit; else the averages say.
  const bool plain = members.size() == 1 && temperature == 1 && test_time_views(a.tta, 1).size() == 1;
  report.evaluation = plain ? e.evaluation : Evaluation::of_predictions(report.predictions);
  console.progress("intervals by bootstrap", 0, 1);
  report.scores = Scorer(report.predictions).scores(a.bootstrap, a.given("--seed") ? a.seed : 1);

  console.print("{}{} on {}, {}", first.saved.network.model->name, members.size() > 1 ? fmt::format(" and {} more", members.size() - 1) : "", dataset.source(), a.split);
  if (!a.temperature.empty()) console.print("temperature {:.4f}{}", temperature, a.temperature == "fit" ? ", fitted to the validation split" : "");
  print_report(console, report);
  if (a.given("--csv")) write_scores(a.csv, report);
  if (a.given("--predictions")) write_predictions(a.predictions, report, dataset);
  Json weights = Json::array();
  for (const Trained& m : members) weights.push_back(m.saved.weights.source);
  Json answer = {{"model", first.saved.network.model->name}, {"weights", members.size() == 1 ? weights[0] : weights}, {"data", dataset.source()},
                 {"synthetic", dataset.synthetic()}, {"split", a.split}, {"skipped", e.skipped}};
  if (temperature != 1) answer["temperature"] = temperature;
  answer.update(report_json(report.evaluation, report.classes));
  answer["scores"] = scores_json(report);
  console.answer(answer);
}

}  // namespace

extern const Verb eval_verb;
const Verb eval_verb{
    .name = "eval",
    .summary = "Evaluate a run, or a network with a weight file",
    .arguments = {"--run", "--model", "--weights", "--head", "--preprocessing", "--padding", "--batch-norm", "--data", "--split", "--size", "--channels", "--batch", "--seed",
                  "--votes", "--skip-bad", "--tta", "--temperature", "--bootstrap", "--csv", "--predictions", "--precision", "--device", "--json"},
    .positional = "runs",
    .positional_help = "folders of runs: several answer together",
    .max_positional = 100,
    .examples = "  vkfer eval runs/1 --split test\n"
                "  vkfer eval runs/1 --data fer2013.zip --split PrivateTest --json test.json\n"
                "  vkfer eval --model compact_mobilenetv2 --weights W.pth --data D\n"
                "  vkfer eval runs/1 runs/2 runs/3 --split test --tta flip --temperature fit\n\n"
                "On the run's own data with --split val it repeats the training's validation\n"
                "figures exactly.",
    .run = run_eval,
};

}  // namespace vkfer
