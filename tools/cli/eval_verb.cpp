#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tools/cli/trained.h"
#include "tools/cli/verb.h"
#include "tools/train/evaluate_samples.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

// The network's class of each class of the data, by name.
std::vector<int> label_map(const Dataset& dataset, const std::vector<std::string>& classes) {
  std::vector<int> map;
  if (classes.empty()) return map;  // valence and arousal alone
  for (const std::string& name : dataset.classes()) {
    const auto it = std::find(classes.begin(), classes.end(), name);
    if (it == classes.end())
      fail("data", "{}: class '{}' is none of the network's ({}). Fix: name the folders as the network's classes",
           dataset.source(), name, fmt::join(classes, ", "));
    map.push_back(int(it - classes.begin()));
  }
  return map;
}

std::vector<std::string> class_names(const Trained& trained, const Dataset& dataset) {
  if (trained.saved.network.classes == 0) return {};
  if (!trained.saved.classes.empty()) return trained.saved.classes;
  if (int(dataset.classes().size()) == trained.saved.network.classes) return dataset.classes();
  fail("eval", "the network answers {} classes and {} has {}. Fix: evaluate on data of the same classes",
       trained.saved.network.classes, dataset.source(), dataset.classes().size());
}

void print_affect(Console& console, const char* name, const std::optional<Affect>& affect) {
  if (!affect) return;
  const ContinuousMetrics& m = affect->metrics;
  const auto text = [](double x) { return std::isnan(x) ? std::string("undefined") : fmt::format("{:.4f}", x); };
  console.print("{:<8} {} images: RMSE {}, MAE {}, Pearson {}, CCC {}, SAGR {}, R2 {}", name, m.count, text(m.rmse), text(m.mae), text(m.pearson), text(m.ccc),
                text(m.sagr), text(m.r2));
}

void print_report(Console& console, const Evaluation& e, const std::vector<std::string>& classes) {
  if (e.count == 0) {
    console.print("{} images{}, loss {:.4f}\n", e.images(), e.has_classes() ? ", none of them with a class" : "", e.loss());
    print_affect(console, "valence", e.valence);
    return print_affect(console, "arousal", e.arousal);
  }
  const ClassificationMetrics m = classification_metrics(e.confusion);
  console.print("{} images: accuracy {:.4f}, macro F1 {:.4f}, weighted F1 {:.4f}, kappa {:.4f}, loss {:.4f}\n", e.count,
                m.accuracy, m.macro_f1, m.weighted_f1, m.kappa, e.loss());
  print_affect(console, "valence", e.valence);
  print_affect(console, "arousal", e.arousal);
  console.print("  {:<14.14} precision  recall      F1   images", "class");
  for (size_t c = 0; c < classes.size(); ++c) {
    const ClassMetrics& k = m.per_class[c];
    console.print("  {:<14.14}    {:.4f}  {:.4f}  {:.4f} {:>8}", classes[c], k.precision, k.recall, k.f1, k.support);
  }
  constexpr size_t kWidest = 9;  // columns that fit into 80
  if (classes.size() > kWidest) return console.line("\n(--json has the confusion matrix)");
  std::string header = fmt::format("\n  {:<14}", "true \\ answer");
  for (const std::string& name : classes) header += fmt::format(" {:>6.6}", name);
  console.line(header);
  for (size_t t = 0; t < classes.size(); ++t) {
    std::string row = fmt::format("  {:<14.14}", classes[t]);
    for (size_t p = 0; p < classes.size(); ++p) row += fmt::format(" {:>6}", e.confusion.at(int(t), int(p)));
    console.line(row);
  }
}

void run_eval(Arguments& a, Console& console) {
  if (!a.positional.empty() && !is_run(a.positional[0]))
    fail("run", "{}: no run there. Fix: name the folder of a run, as in vkfer eval runs/1", a.positional[0]);
  Trained trained = open_trained(a, a.positional);
  if (!a.positional.empty()) fail("usage", "a run and --weights both name weights. Fix: choose one");
  TrainSettings settings = trained.settings;
  if (a.given("--data")) settings.data = a.data;
  if (a.given("--seed")) settings.seed = settings.split_seed = a.seed;
  if (a.given("--votes")) settings.votes = a.votes;
  if (a.given("--skip-bad")) settings.skip_bad = true;
  const Dataset dataset = open_data(settings, console);
  const std::vector<std::string> classes = class_names(trained, dataset);
  const std::vector<int> map = label_map(dataset, classes);
  const std::vector<size_t> indices = labelled(dataset, a.split, trained.saved.network.valence_arousal, !classes.empty());
  if (indices.empty()) fail("--split", "{} has no labelled image in '{}'. Fix: another split", dataset.source(), a.split);

  Device device = open_device(a, console);
  NetworkSettings network = trained.saved.network;
  network.storage = trained.storage_on(device, a);
  network.batch = a.given("--batch") ? a.batch : trained.settings.batch;
  const EvaluatedSamples e = evaluate_samples(device, trained.saved, network, trained.target_on(device), dataset, indices, map, settings.skip_bad,
                                              [&](const char* what, size_t done, size_t total) {
                                                console.progress(what, double(done), double(total), fmt::format("{}/{}", done, total));
                                              });
  check_validation(device, console);
  console.print("{} on {}, {}", network.model->name, dataset.source(), a.split);
  print_report(console, e.evaluation, classes);
  Json answer = {{"model", network.model->name}, {"weights", trained.saved.weights.source}, {"data", dataset.source()},
                 {"synthetic", dataset.synthetic()}, {"split", a.split}, {"skipped", e.skipped}};
  answer.update(report_json(e.evaluation, classes));
  console.answer(answer);
}

}  // namespace

extern const Verb eval_verb;
const Verb eval_verb{
    .name = "eval",
    .summary = "Evaluate a run, or a network with a weight file",
    .arguments = {"--run", "--model", "--weights", "--head", "--preprocessing", "--padding", "--batch-norm", "--data", "--split", "--size", "--channels", "--batch", "--seed",
                  "--votes", "--skip-bad", "--precision", "--device", "--json"},
    .positional = "run",
    .positional_help = "folder of a run; default: the newest in runs/",
    .max_positional = 1,
    .examples = "  vkfer eval runs/1 --split test\n"
                "  vkfer eval runs/1 --data fer2013.zip --split PrivateTest --json test.json\n"
                "  vkfer eval --model compact_mobilenetv2 --weights W.pth --data D\n\n"
                "On the run's own data with --split val it repeats the training's validation\n"
                "figures exactly.",
    .run = run_eval,
};

}  // namespace vkfer
