#include <algorithm>

#include "runtime/error.h"
#include "tools/cli/trained.h"
#include "tools/cli/verb.h"
#include "tools/predict/predictor.h"

namespace vkfer {
namespace {

void print_answer(Console& console, const std::string& path, std::span<const float> p,
                  const std::vector<std::string>& classes, int top) {
  constexpr int kBar = 40;
  console.line(path);
  const std::vector<size_t> order = by_probability(p);
  for (size_t i = 0; i < std::min(size_t(top), order.size()); ++i)
    console.print("  {:<16.16} {:>5.1f} %  {}", classes[order[i]], 100 * p[order[i]],
                  std::string(size_t(kBar * p[order[i]] + 0.5f), '#'));
}

Json answer_json(const std::string& path, std::span<const float> p, const std::vector<std::string>& classes) {
  if (classes.empty()) return {{"image", path}};  // valence and arousal alone
  const size_t best = by_probability(p)[0];
  Json all = Json::object();
  for (size_t c = 0; c < classes.size(); ++c) all[classes[c]] = p[c];
  return {{"image", path}, {"prediction", classes[best]}, {"probability", p[best]}, {"probabilities", all}};
}

void run_infer(Arguments& a, Console& console) {
  std::vector<std::string> paths = a.positional;
  const Trained trained = open_trained(a, paths);
  if (paths.empty()) fail("usage", "no picture named. Fix: vkfer infer face.png");
  std::vector<Image> images;
  for (const std::string& path : paths) images.push_back(read_image(path));

  Device device = open_device(a, console);
  Predictor predictor(device, trained, {.precision = asked_precision(a)});
  const std::vector<std::string>& classes = predictor.classes();
  const std::vector<Prediction> predictions = predictor.predict(images);

  check_validation(device, console);
  if (!trained.run.empty()) console.print("{} of {}", trained.saved.network.model->name, trained.run.string());
  Json answers = Json::array();
  for (size_t i = 0; i < paths.size(); ++i) {
    const Prediction& p = predictions[i];
    print_answer(console, paths[i], p.probabilities, classes, a.top);
    answers.push_back(answer_json(paths[i], p.probabilities, classes));
    if (!p.valence) continue;
    console.print("  valence {:+.2f}, arousal {:+.2f}", *p.valence, *p.arousal);
    answers.back()["valence"] = *p.valence;
    answers.back()["arousal"] = *p.arousal;
  }
  console.answer({{"model", trained.saved.network.model->name}, {"weights", trained.saved.weights.source}, {"images", answers}});
}

}  // namespace

extern const Verb infer_verb;
const Verb infer_verb{
    .name = "infer",
    .summary = "Tell the expression on pictures of faces",
    .arguments = {"--run", "--model", "--weights", "--head", "--preprocessing", "--padding", "--batch-norm", "--size", "--channels", "--top", "--precision", "--device", "--json"},
    .positional = "images",
    .positional_help = "pictures; a run's folder may come first",
    .max_positional = -1,
    .examples = "  vkfer infer face.png\n"
                "  vkfer infer runs/1/examples/happy.png --run runs/1\n"
                "  vkfer infer a.jpg b.jpg --json answers.json\n\n"
                "Without --run the newest run in runs/ answers. The whole picture is resized to\n"
                "the network's input: it should show one face and little else.",
    .run = run_infer,
};

}  // namespace vkfer
