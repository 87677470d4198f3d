#include <algorithm>
#include <numeric>

#include "runtime/error.h"
#include "tools/cli/trained.h"
#include "tools/cli/verb.h"
#include "tools/train/evaluator.h"
#include "tools/train/resize.h"

namespace vkfer {
namespace {

constexpr int kMaxBatch = 32;

std::vector<Image> read_images(const std::vector<std::string>& paths, int channels) {
  std::vector<Image> images;
  for (const std::string& path : paths) images.push_back(convert_channels(read_image(path), channels));
  return images;
}

std::vector<std::string> class_names(const Trained& trained) {
  if (!trained.saved.classes.empty()) return trained.saved.classes;
  std::vector<std::string> names;
  for (int c = 0; c < trained.saved.network.classes; ++c) names.push_back("class " + std::to_string(c));
  return names;
}

std::vector<size_t> by_probability(std::span<const float> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  return order;
}

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
  NetworkSettings network = trained.saved.network;
  network.pixel_channels = network.channels;
  network.batch = std::min(int(paths.size()), kMaxBatch);
  const std::vector<Image> images = read_images(paths, network.channels);
  const std::vector<std::string> classes = class_names(trained);

  Device device = open_device(a, console);
  network.storage = trained.storage_on(device, a);
  States states(device);
  Evaluator evaluator(device, states, network, trained.target_on(device));
  load_weights(trained.saved.weights, evaluator.graph(), states, {.classifier = network.classifier()});
  const Answers p = evaluator.answers(DeviceResize(device)(images, network.size));

  check_validation(device, console);
  if (!trained.run.empty()) console.print("{} of {}", network.model->name, trained.run.string());
  Json answers = Json::array();
  for (size_t i = 0; i < paths.size(); ++i) {
    const std::span<const float> row = std::span(p.probabilities).subspan(i * classes.size(), classes.size());
    print_answer(console, paths[i], row, classes, a.top);
    answers.push_back(answer_json(paths[i], row, classes));
    if (p.valence.empty()) continue;
    console.print("  valence {:+.2f}, arousal {:+.2f}", p.valence[i], p.arousal[i]);
    answers.back()["valence"] = p.valence[i];
    answers.back()["arousal"] = p.arousal[i];
  }
  console.answer({{"model", network.model->name}, {"weights", trained.saved.weights.source}, {"images", answers}});
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
