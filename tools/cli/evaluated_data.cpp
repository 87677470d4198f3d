#include "tools/cli/evaluated_data.h"

#include <algorithm>

#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

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

}  // namespace

void warn_of_other_split(const Trained& trained, const Dataset& dataset, Console& console) {
  if (!trained.config.is_object() || dataset.official_split()) return;
  const Json then = trained.config.value("data", Json::object());
  if (!then.is_object() || then.value("source", Json()) != dataset.source()) return;
  if (then.value("fingerprint", Json()) == fingerprint(dataset, trained.settings.valence_arousal)) return;
  console.notice(fmt::format("{} is not, or is not split, as it was when {} was trained: pictures that it learned may be among these. Fix: leave --seed out, and compare "
                             "runs of one --split-seed", dataset.source(), trained.run.string()));
}

EvaluatedData evaluated_data(const Arguments& a, const Trained& trained, Console& console) {
  TrainSettings settings = trained.settings;
  if (a.given("--data")) settings.data = a.data;
  if (a.given("--seed")) settings.seed = settings.split_seed = a.seed;
  if (a.given("--votes")) settings.votes = a.votes;
  if (a.given("--skip-bad")) settings.skip_bad = true;
  EvaluatedData data{open_data(settings, console), {}, {}, settings.skip_bad};
  data.classes = class_names(trained, data.dataset);
  data.label_map = label_map(data.dataset, data.classes);
  return data;
}

}  // namespace vkfer
