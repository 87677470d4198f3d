#include "models/onnx/export.h"
#include "models/onnx/network.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tools/cli/distinct_files.h"
#include "tools/cli/trained.h"
#include "tools/cli/verb.h"
#include "tools/data/atomic_file.h"

namespace vkfer {
namespace {

bool wants_folding(const std::string& answer) {
  if (answer == "no") return false;
  if (answer != "yes") fail("--fold-bn", "got '{}', expected yes or no", answer.substr(0, 100));
  return true;
}

void run_export(Arguments& a, Console& console) {
  if (!a.given("--onnx") && !a.given("--safetensors")) fail("usage", "nothing to write. Fix: --onnx model.onnx or --safetensors model.safetensors");
  const bool fold = wants_folding(a.fold_batch_norm);
  check_distinct_files({{"--onnx", a.onnx}, {"--safetensors", a.safetensors}}, {{"--weights", a.weights}});
  std::vector<std::string> paths = a.positional;
  const Trained trained = open_trained(a, paths);
  if (!paths.empty()) fail("usage", "{} is no run. Fix: name a run's folder, or --model M --weights FILE", paths[0]);
  const NetworkSettings& n = trained.saved.network;
  const Graph graph = inference_graph(n);
  const FittedWeights fitted = fit_weights(trained.saved.weights, graph, {.classifier = n.classifier()});
  WeightFile file;
  set_metadata(file, n, trained.saved.classes);
  if (trained.saved.classes.empty()) file.metadata.erase("classes");

  Json answer = {{"model", n.model->name}, {"weights", trained.saved.weights.source}};
  if (a.given("--onnx")) {
    OnnxModel model = n.model->onnx ? export_onnx_network(*n.model, model_options(n, false), fitted.values, {.fold_batch_norm = fold})
                                    : export_onnx(graph, fitted.values, {.fold_batch_norm = fold});
    model.metadata = file.metadata;
    if (fold) model.metadata.erase("model");   // its weights are no longer that network's, but the graph's own
    write_file(a.onnx, std::string_view(onnx_bytes(model)));
    console.print("{}: {} of {}, {} nodes, opset {}, batch norm {}; takes '{}' [n,{},{},{}], preprocessed as {}", a.onnx, n.model->name, trained.saved.weights.source,
                  model.nodes.size(), model.opsets.at(""), fold ? "folded" : "kept", model.inputs[0].name, n.channels, n.size, n.size, n.preprocessing.name);
    answer.update({{"onnx", a.onnx}, {"nodes", model.nodes.size()}, {"opset", model.opsets.at("")}, {"folded", fold}});
  }
  if (a.given("--safetensors")) {
    export_weights(graph, fitted, 0, file);
    write_safetensors(a.safetensors, file);
    console.print("{}: {} tensors of {}", a.safetensors, fitted.values.size(), trained.saved.weights.source);
    answer.update({{"safetensors", a.safetensors}, {"tensors", fitted.values.size()}});
  }
  console.answer(answer);
}

}  // namespace

extern const Verb export_verb;
const Verb export_verb{
    .name = "export",
    .summary = "Write a trained network as ONNX or safetensors",
    .arguments = {"--run", "--onnx", "--fold-bn", "--safetensors", "--model", "--weights", "--preprocessing", "--padding", "--size", "--channels", "--json"},
    .positional = "run",
    .positional_help = "a run's folder; default: the newest",
    .max_positional = 1,
    .examples = "  vkfer export runs/1 --onnx model.onnx\n"
                "  vkfer export --model resnet50 --weights r50.pth --onnx r50.onnx --fold-bn no\n\n"
                "The model takes preprocessed images [n,channels,size,size] of any number and\n"
                "answers logits. Its metadata say how to preprocess, and name the classes.",
    .run = run_export,
};

}  // namespace vkfer
