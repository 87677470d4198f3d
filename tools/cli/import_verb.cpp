#include <algorithm>
#include <filesystem>

#include "models/head.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tools/cli/class_names.h"
#include "tools/cli/verb.h"
#include "tools/train/saved_network.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

StemChannels stem_channels(const std::string& name) {
  if (name.empty()) return StemChannels::as_stored;
  if (name == "sum") return StemChannels::sum;
  if (name == "replicate") return StemChannels::replicate;
  fail("--adapt-stem", "got '{}', expected sum (3 channels to 1) or replicate (1 to 3)", name);
}

void list(Console& console, const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  console.print("{} {}:", names.size(), title);
  for (const std::string& name : names) console.line("  " + name);
}

// What the file says, and what the command line adds to that.
SavedNetwork described(const Arguments& a) {
  const int classes = a.partial && a.given("--num-classes") ? a.classes : 0;
  SavedNetwork saved = read_network(a.positional[0], {.model = a.given("--model") ? a.model : "", .head = a.head, .size = a.given("--size") ? a.size : 0,
                                                      .channels = a.given("--channels") && a.adapt_stem.empty() ? a.channels : 0, .classes = classes});
  if (a.given("--head") && saved.network.head != (is_default_head(a.head) ? "" : a.head)) {
    if (!classes) fail("--head", "got {}, which {} does not have. Fix: leave --head out, or give it a new one with --partial --num-classes N", a.head, saved.weights.source);
    saved.network.head = is_default_head(a.head) ? "" : a.head;
  }
  if (a.given("--channels")) saved.network.channels = a.channels;
  if (classes && classes != saved.network.classes) {
    saved.network.classes = classes;
    saved.classes.clear();
  }
  set_conventions(saved, a.preprocessing, a.padding, a.batch_norm);
  if (!a.class_names.empty()) saved.classes = read_class_names(a.class_names);
  if (!saved.classes.empty() && int(saved.classes.size()) != saved.network.classes)
    fail("--classes", "got {} names, expected {}: one for each output of the network", saved.classes.size(), saved.network.classes);
  return saved;
}

void run_import(Arguments& a, Console& console) {
  if (a.positional.empty()) fail("usage", "no file named. Fix: vkfer import FILE --model NAME -o OUT.safetensors");
  if (!a.given("--out")) fail("usage", "--out is missing. Fix: -o OUT.safetensors");
  std::error_code error;
  if (fs::equivalent(a.positional[0], a.out, error)) fail("--out", "{} is the file to read. Fix: name another", a.out);
  const StemChannels stem = stem_channels(a.adapt_stem);
  const SavedNetwork saved = described(a);
  const NetworkSettings& n = saved.network;
  const Graph graph = inference_graph(n);
  const FittedWeights fitted = fit_weights(saved.weights, graph, {.classifier = n.classifier(), .partial = a.partial, .stem = stem});
  if (fitted.values.empty()) fail("weights", "{}: nothing in it fits {}. Fix: choose the model these weights belong to", saved.weights.source, n.model->name);

  WeightFile out;
  export_weights(graph, fitted, a.seed, out);
  set_metadata(out, n, saved.classes);
  if (saved.classes.empty()) out.metadata.erase("classes");
  out.metadata["source"] = fs::path(saved.weights.source).filename().string();
  out.metadata["source_format"] = saved.weights.format;
  for (const char* key : {"keras_version", "keras_backend"})
    if (const auto it = saved.weights.metadata.find(key); it != saved.weights.metadata.end()) out.metadata[key] = it->second;
  write_safetensors(a.out, out);

  for (const std::string& note : saved.weights.notes) console.line(note);
  list(console, "adapted to other channels", fitted.adapted);
  list(console, "missing, at their initial values", fitted.missing);
  list(console, "of another shape, at their initial values", fitted.misshaped);
  list(console, "unexpected, left out", fitted.unexpected);
  console.print("{}: {} tensors of {} for {} ({}x{}x{}, {} classes, preprocessing {}, padding {}{})", a.out, fitted.values.size(), saved.weights.source,
                n.model->name, n.size, n.size, n.channels, n.classes, n.preprocessing.name, n.same_padding ? kSamePadding : kTorchPadding, n.batch_norm.eps > 0 ? ", batch norm " + batch_norm_text(n.batch_norm) : "");
  console.answer({{"out", a.out}, {"source", saved.weights.source}, {"format", saved.weights.format}, {"model", n.model->name}, {"size", n.size},
                  {"channels", n.channels}, {"classes", n.classes}, {"preprocessing", n.preprocessing.name},
                  {"padding", n.same_padding ? kSamePadding : kTorchPadding}, {"batch_norm", batch_norm_text(n.batch_norm)}, {"tensors", fitted.values.size()}, {"adapted", fitted.adapted},
                  {"missing", fitted.missing}, {"misshaped", fitted.misshaped}, {"unexpected", fitted.unexpected}, {"notes", saved.weights.notes}});
}

}  // namespace

extern const Verb import_verb;
const Verb import_verb{
    .name = "import",
    .summary = "Turn weights of another origin into a file of ours",
    .arguments = {"--model", "--out", "--size", "--channels", "--num-classes", "--classes", "--head", "--preprocessing", "--padding", "--batch-norm", "--partial",
                  "--adapt-stem", "--seed", "--json"},
    .positional = "file",
    .positional_help = "any file that vkfer weights reads",
    .max_positional = 1,
    .examples = "  vkfer import resnet50-0676ba61.pth --model resnet50 -o r50.safetensors\n"
                "  vkfer import tf.pth --model mobilenetv2 --preprocessing half --padding same \\\n"
                "      --classes labels.txt -o imagenet.safetensors\n"
                "  vkfer import my.h5 --model mobilenetv2 --head gap,dense100 -o my.safetensors\n"
                "  vkfer import net.pth --model mobilenetv2 --channels 1 --adapt-stem sum \\\n"
                "      -o gray.safetensors\n\n"
                "Every tensor must fit by name and shape; --partial takes what does and lists the\n"
                "rest. Names of torchvision, timm, Keras and DataParallel are known; what Keras'\n"
                "networks expect (input, padding, batch norm) is recorded.",
    .run = run_import,
};

}  // namespace vkfer
