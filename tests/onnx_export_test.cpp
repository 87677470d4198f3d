// Networks of ours as ONNX models: every op has its counterpart, names and weights come back bit for bit, and onnx.checker agrees.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "graph/ops/ops.h"
#include "models/init.h"
#include "models/onnx/export.h"
#include "models/onnx/operators.h"
#include "models/registry.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/scratch.h"
#include "tools/data/atomic_file.h"
#include "tools/train/saved_network.h"

using namespace vkfer;
namespace fs = std::filesystem;

namespace {

struct Net {
  Graph graph;
  std::map<std::string, std::vector<float>> values;   // in torch's order
};

Net network(const ModelInfo& model, const std::string& head, int size) {
  Net net;
  const Value images = net.graph.input("images", {{1, size, size, 3}, DType::f32});
  ModelOptions options;
  options.size = size;
  options.head = head;
  net.graph.output(build_model(model, net.graph, images, {}, options).logits, "logits");
  for (Value v : net.graph.states()) {
    const ValueInfo& info = net.graph.info(v);
    std::vector<float> values = initial_value(info.name, info, 3);
    // Running statistics and scales of their own, so that folding has something to do.
    for (size_t i = 0; i < values.size(); ++i)
      if (info.name.ends_with("running_var")) values[i] = 0.5f + float(i % 7) / 5;
      else if (info.name.ends_with("running_mean")) values[i] = float(i % 5) / 9 - 0.2f;
    net.values[info.name] = to_torch(info, values);
  }
  return net;
}

const char* small_head(const ModelInfo& m) { return m.name.starts_with("vgg") ? "gap" : ""; }  // VGG's own is 120 million weights

bool has_checker() { return std::system("/usr/bin/python3 -c 'import onnx' > /dev/null 2>&1") == 0; }

}  // namespace

TEST_CASE("every network of ours can be written as ONNX, and its weights come back bit for bit", "[onnx][onnx_export]") {
  for (const ModelInfo* model : all_models()) {
    if (model->name.starts_with("vgg") && model->name != "vgg16_bn") continue;  // the same layers, and 20 million weights each
    INFO(model->name);
    const Net net = network(*model, small_head(*model), std::max(32, model->smallest_size));
    const OnnxModel kept = export_onnx(net.graph, net.values, {.fold_batch_norm = false});
    const std::string file = onnx_bytes(kept);
    const OnnxModel back = parse_onnx(std::as_bytes(std::span(file)), "kept.onnx");
    CHECK(onnx_bytes(back) == file);
    CHECK(unsupported_operators(back).empty());
    REQUIRE(back.outputs.size() == 1);
    CHECK(back.outputs[0].name == "logits");
    CHECK(back.inputs.at(0).shape->at(0).symbol == "batch");
    CHECK(back.inputs.at(0).shape->at(1).size == 3);
    // import -> export -> import
    WeightFile weights;
    weights.source = "kept.onnx";
    weights.tensors = back.initializers;
    std::erase_if(weights.tensors, [&](const auto& t) { return !net.values.count(t.first); });
    const FittedWeights fitted = fit_weights(weights, net.graph, {.classifier = model->classifier});
    CHECK(fitted.values == net.values);
    CHECK(onnx_bytes(export_onnx(net.graph, fitted.values, {.fold_batch_norm = false})) == file);
    const OnnxModel folded = export_onnx(net.graph, net.values);
    const auto norms = [](const OnnxModel& m) { return std::ranges::count(m.nodes, "BatchNormalization", &OnnxNode::op); };
    CHECK(norms(folded) == 0);
    CHECK(norms(kept) == std::ranges::count(net.graph.nodes(), &ops::batch_norm_eval, &Node::op));
  }
}

TEST_CASE("what a graph computes with beside its weights is no weight that is left over", "[onnx][onnx_export]") {
  const test::Scratch scratch;
  const fs::path path = scratch.path / "kept.onnx";
  for (const char* name : {"mobilenetv2", "compact_mobilenetv2"}) {   // the 6 of their ReLU6
    INFO(name);
    const Net net = network(find_model(name), "", 32);
    write_file(path, std::string_view(onnx_bytes(export_onnx(net.graph, net.values, {.fold_batch_norm = false}))));
    const SavedNetwork saved = read_network(path, {.model = name});
    CHECK(fit_weights(saved.weights, net.graph, {.classifier = find_model(name).classifier}).values == net.values);
    CHECK_THAT(saved.weights.notes.back(), contains("2 constants of the graph are left out: six, zero"));
  }
}

TEST_CASE("onnx.checker and shape inference accept what is exported", "[onnx][onnx_export]") {
  if (!has_checker()) {
    WARN("no python3-onnx here: install it to have exported models checked");
    return;
  }
  const fs::path folder = fs::temp_directory_path() / ("vkfer_export_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  for (const char* name : {"mobilenetv2", "efficientnet_b0", "resnet18", "vgg16_bn", "compact_resnet"})
    for (const char* head : {"gap", "gap,bn,dense12,silu,dropout0.5/dense8,hardswish", "flatten,dense9"})
      for (const bool fold : {false, true}) {
        const Net net = network(find_model(name), head, 48);
        std::ofstream(folder / fmt::format("{}_{}_{}.onnx", name, std::string(head).substr(0, 6), fold), std::ios::binary)
            << onnx_bytes(export_onnx(net.graph, net.values, {.fold_batch_norm = fold}));
      }
  std::ofstream(folder / "check.py") << R"(
import glob, sys, onnx
for f in sorted(glob.glob(sys.argv[1] + '/*.onnx')):
    m = onnx.load(f)
    onnx.checker.check_model(m, full_check=True)
    out = onnx.shape_inference.infer_shapes(m, strict_mode=True).graph.output[0].type.tensor_type.shape.dim
    assert out[0].dim_param == 'batch' and out[1].dim_value == 7, (f, out)
)";
  const std::string command = fmt::format("/usr/bin/python3 {0}/check.py {0}", folder.string());
  CHECK(std::system(command.c_str()) == 0);
  fs::remove_all(folder);
}

TEST_CASE("an op without a counterpart in ONNX is named", "[onnx][onnx_export]") {
  Graph g;
  const Value x = g.input("x", {{2, 3}, DType::f32}), step = g.input("step", {{5}, DType::i32});
  g.output(g.add1(ops::dropout, {{"p", 0.5}, {"salt", 1}}, {x, step}, "drop"), "y");
  CHECK_THROWS_WITH(export_onnx(g, {}), contains("'drop': dropout: has no counterpart in ONNX"));
  Graph weights;
  const Value w = weights.state("w", {{3}, DType::f32});
  weights.output(weights.add1(ops::relu, {}, {w}, "r"), "y");
  CHECK_THROWS_WITH(export_onnx(weights, {}), contains("'w' has no values"));
}
