#include <algorithm>

#include "graph/executor.h"
#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/train/training.h"
#include "tools/tune/tuner.h"

namespace vkfer {
namespace {

// Of a training step and of an evaluation: `train` runs both.
std::vector<CountedProblem> problems_to_tune(const Arguments& a, const DeviceInfo& device, const Target& profile) {
  if (a.training && a.inference) fail("usage", "--training and --inference exclude each other. Fix: choose one, or neither for both");
  const NetworkSettings n = network_of(a, a.model, a.batch, device, profile);
  std::vector<CountedProblem> all;
  const auto add = [&](const Graph& graph) {
    for (CountedProblem& p : problems_of(graph)) {
      if (!p.problem.op->candidates || p.problem.op->name.find(a.op) == std::string_view::npos) continue;
      const auto same = [&](const CountedProblem& other) { return other.problem.key() == p.problem.key(); };
      if (std::none_of(all.begin(), all.end(), same)) all.push_back(std::move(p));
    }
  };
  if (!a.inference) add(training_graph(n, find_optimizer(a.optimizer), a.optimizer_settings()).graph);
  if (!a.training) add(evaluation_graph(n).graph);
  if (all.empty()) fail("--op", "no op with something to choose has a name that contains '{}'", a.op);
  return all;
}

std::string choice_text(const Attrs& choice) { return choice.entries().empty() ? "the defaults" : choice.to_string(); }

void print_problem(Console& console, const TunedProblem& t) {
  if (!t.skipped.empty()) return console.print("{}\n    left alone: {}", t.what.problem.key(), t.skipped);
  const TunedEntry e = t.entry();
  console.print("{}\n    {:.3f} ms with {}{}", t.what.problem.key(), e.milliseconds, choice_text(e.choice),
                t.chosen ? fmt::format(", {:.3f} ms with the defaults", e.default_milliseconds) : "");
  for (const Candidate& c : t.candidates)
    if (!c.rejected.empty()) console.print("    rejected: {}: {}", choice_text(c.choice), c.rejected);
}

Json problem_json(const TunedProblem& t) {
  Json candidates = Json::array();
  for (const Candidate& c : t.candidates)
    candidates.push_back({{"choice", c.choice.to_string()}, {"milliseconds", c.milliseconds}, {"rejected", c.rejected}});
  Json j = {{"problem", t.what.problem.key()}, {"label", t.what.label}, {"count", t.what.count}, {"skipped", t.skipped}, {"candidates", candidates}};
  if (t.skipped.empty()) j["chosen"] = t.candidates[t.chosen].choice.to_string();
  return j;
}

void run_tune(Arguments& a, Console& console) {
  Device device = open_device(a, console);
  const Target profile = target_for(device.info());
  const std::vector<CountedProblem> problems = problems_to_tune(a, device.info(), profile);
  const std::filesystem::path path = tuning_path(device.info());
  if (path.empty()) fail("tune", "there is no cache folder. Fix: set VKFER_CACHE_DIR or HOME");
  std::vector<TunedEntry> entries;
  Json all = Json::array();
  double before = 0, after = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    console.progress("tuning", double(i), double(problems.size()), std::string(problems[i].problem.op->name));
    const TunedProblem t = tune_problem(device, problems[i], profile, a.repeats);
    print_problem(console, t);
    all.push_back(problem_json(t));
    if (!t.skipped.empty()) continue;
    entries.push_back(t.entry());
    check_validation(device, console);
    write_tuning(path, device.info(), profile, {entries.back()});  // at once: what is found survives an interruption
    before += t.what.count * entries.back().default_milliseconds;
    after += t.what.count * entries.back().milliseconds;
  }
  check_validation(device, console);
  const auto changed = std::count_if(entries.begin(), entries.end(), [](const TunedEntry& e) { return !e.choice.entries().empty(); });
  console.print("\n{} problems, {} of them changed: {:.1f} ms instead of {:.1f} for all of them once", problems.size(), changed, after, before);
  console.print("kept in {}; plans take it from there. VKFER_TUNING=0 leaves it out", path.string());
  console.answer({{"model", a.model}, {"device", device.info().name}, {"driver", driver_text(device.info())}, {"file", path.string()},
                  {"milliseconds", after}, {"default_milliseconds", before}, {"changed", changed}, {"problems", all}});
}

}  // namespace

extern const Verb tune_verb;
const Verb tune_verb{
    .name = "tune",
    .summary = "Measure what plans leave open, and keep the best",
    .arguments = {"--model", "--size", "--channels", "--batch", "--num-classes", "--training", "--inference", "--optimizer",
                  "--head", "--va", "--freeze", "--freeze-backbone", "--precision", "--op", "--repeats", "--device", "--json"},
    .examples = "  vkfer tune --model mobilenetv2 --size 48 --batch 16\n"
                "  vkfer tune --model mobilenetv2 --inference --batch 1\n\n"
                "Each layer shape is tried with every choice its op lists; one that does not\n"
                "give the obvious kernel's result is rejected. Training and evaluation, unless\n"
                "one of them is asked for. A run goes on with the choices it started with.",
    .run = run_tune,
};

}  // namespace vkfer
