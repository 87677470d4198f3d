// ONNX models as networks: cut where a head belongs, trained as ours are, saved so that they come back without their file.
#include <fstream>

#include "graph/ops/ops.h"
#include "models/init.h"
#include "models/onnx/export.h"
#include "models/onnx/import.h"
#include "models/onnx/network.h"
#include "models/onnx/run.h"
#include "models/weights/base64.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/train/saved_network.h"
#include "tools/train/trace.h"
#include "tools/train/training.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

using Dims = std::vector<int64_t>;

OnnxPort port(const std::string& name, const std::vector<OnnxDim>& dims) { return {name, StoredType::f32, dims}; }

WeightTensor noise(const std::string& name, Dims shape, double scale = 0.3) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  std::vector<float> v;
  for (const float x : fixture::tensor(name, n)) v.push_back(float(scale * x));
  return WeightTensor::of(std::move(shape), v);
}

// As PyTorch exports a small network: conv, norm, relu6 in pieces, a residual, pooling, two linear layers.
OnnxModel small_model(bool open_batch = true) {
  OnnxModel m;
  m.source = "small.onnx";
  m.opsets[""] = 14;
  m.producer = "a test";
  const auto node = [&](const std::string& op, std::vector<std::string> in, const std::string& out, std::map<std::string, OnnxAttribute> attributes = {}) {
    m.nodes.push_back({op, "", "/" + out, std::move(in), {out}, std::move(attributes)});
  };
  m.inputs = {port("input", {{-1, "batch"}, {3, {}}, {16, {}}, {16, {}}})};
  m.outputs = {port("scores", {{-1, "batch"}, {5, {}}})};
  m.initializers["stem.weight"] = noise("stem", {8, 3, 3, 3});
  node("Conv", {"input", "stem.weight"}, "c1", {{"pads", Dims{1, 1, 1, 1}}, {"strides", Dims{2, 2}}});
  for (const char* part : {"weight", "bias", "running_mean"}) m.initializers[std::string("bn.") + part] = noise(part, {8}, 1);
  m.initializers["bn.running_var"] = WeightTensor::of({8}, std::vector<float>{1, 2, 1, 0.5f, 1, 3, 1, 1});
  node("BatchNormalization", {"c1", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}, "b1", {{"epsilon", 1e-3}, {"momentum", 0.8}});
  m.initializers["zero"] = WeightTensor::of({}, std::vector<float>{0});
  m.initializers["six"] = WeightTensor::of({}, std::vector<float>{6});
  node("Clip", {"b1", "zero", "six"}, "r1");
  m.initializers["second.weight"] = noise("second", {8, 1, 3, 3});
  m.initializers["shared"] = noise("shared", {8});
  node("Identity", {"shared"}, "second.bias");   // as PyTorch writes weights that are equal
  node("Conv", {"r1", "second.weight", "second.bias"}, "c2", {{"pads", Dims{1, 1, 1, 1}}, {"group", int64_t(8)}});
  node("HardSigmoid", {"c2"}, "gate", {{"alpha", 0.25}});
  node("Mul", {"gate", "r1"}, "gated");
  node("Add", {"gated", "c2"}, "sum");
  node("GlobalAveragePool", {"sum"}, "pooled");
  m.initializers["shape"] = open_batch ? WeightTensor::of({2}, std::vector<int64_t>{0, -1}) : WeightTensor::of({2}, std::vector<int64_t>{1, 8});
  node("Reshape", {"pooled", "shape"}, "flat");
  m.initializers["hidden"] = noise("hidden", {8, 6});   // [in,out], as MatMul has it
  m.initializers["hidden.bias"] = noise("hidden.bias", {6});
  node("MatMul", {"flat", "hidden"}, "h");
  node("Add", {"h", "hidden.bias"}, "hb");
  node("Relu", {"hb"}, "hr");
  m.initializers["fc.weight"] = noise("fc", {5, 6});
  m.initializers["fc.bias"] = noise("fc.bias", {5});
  node("Gemm", {"hr", "fc.weight", "fc.bias"}, "logits", {{"transB", int64_t(1)}});
  node("Softmax", {"logits"}, "scores", {{"axis", int64_t(1)}});
  return m;
}

std::string write(const fs::path& path, const OnnxModel& m) {
  std::ofstream(path, std::ios::binary) << onnx_bytes(m);
  return path.string();
}

TraceOptions options_for(const std::string& model, int size, int classes, int batch = 3) {
  TraceOptions o;
  o.model = model;
  o.size = size;
  o.batch = batch;
  o.classes = classes;
  o.x = fixture::tensor("images", batch * 3 * size * size);
  o.labels = fixture::labels("labels", batch, classes);
  o.steps = 1;
  o.lr = 0.01;
  return o;
}

double worst(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, largest = 1e-9;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(double(a[i]) - double(b[i])));
    largest = std::max(largest, std::abs(double(a[i])));
  }
  return difference / largest;
}

bool refuses(const std::function<void()>& f, const std::string& says) {
  try {
    f();
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(std::string(e.what()).find(says) != std::string::npos);
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("an ONNX model is cut at its last linear layer and its last map", "[onnx][onnx_network]") {
  const Scratch scratch;
  const ModelInfo& info = find_model(write(scratch.path / "small.onnx", small_model()));
  CHECK(info.name == "small.onnx");
  CHECK((info.default_size == 16 && info.channels == 3 && info.classifier == "fc"));
  CHECK(&find_model((scratch.path / "small.onnx").string()) == &info);
  const WeightFile weights = info.weights();
  CHECK(weights.at("fc.weight").shape == Dims{5, 6});
  CHECK(weights.at("stem.weight").bytes == small_model().initializers.at("stem.weight").bytes);

  Graph g;
  ModelOptions o;
  o.size = 16;
  o.batch = 2;
  o.classes = 7;
  o.head = "gap,dense4";
  build_model(info, g, g.input("images", {{2, 16, 16, 3}, DType::f32}), {}, o);
  CHECK(!g.find("hidden"));   // belongs to the head that was replaced
  CHECK(g.find("second.weight"));
  CHECK(g.shape(g.find("head.classes.weight")) == Shape{4, 7});
  const auto trains = [&](const char* name) { return g.info(g.find(name)).state.trainable; };
  CHECK((trains("bn.weight") && trains("stem.weight") && trains("second.bias")));
  CHECK((!trains("bn.running_mean") && !trains("bn.running_var")));
  o.head.clear();
  o.freeze = "stem,bn";
  Graph own;
  build_model(info, own, own.input("images", {{2, 16, 16, 3}, DType::f32}), {}, o);
  CHECK(!own.info(own.find("stem.weight")).state.trainable);
  CHECK(own.info(own.find("hidden")).state.trainable);
  CHECK(own.shape(own.find("fc.weight")) == Shape{6, 7});
}

TEST_CASE("models without a last linear layer, and other last layers", "[onnx][onnx_network]") {
  const Scratch scratch;
  OnnxModel m = small_model();
  m.outputs = {port("sum", {})};
  const ModelInfo& map = find_model(write(scratch.path / "map.onnx", m));
  CHECK(classifier_rows(map.weights(), map.classifier) == 0);
  CHECK(summarise(map, {.size = 16, .classes = 7}).parameters == 8 * 27 + 16 + 80 + 8 * 7 + 7);

  m = small_model();   // MatMul + Add, no softmax; the matrix is [in,out]
  m.nodes.resize(m.nodes.size() - 2);
  m.initializers["w"] = noise("w", {6, 4});
  m.initializers["b"] = noise("b", {4});
  m.nodes.push_back({"MatMul", "", "m", {"hr", "w"}, {"m"}, {}});
  m.nodes.push_back({"Add", "", "a", {"b", "m"}, {"a"}, {}});
  m.outputs = {port("a", {})};
  const ModelInfo& product = find_model(write(scratch.path / "product.onnx", m));
  CHECK(product.classifier == "classifier");
  const WeightFile file = product.weights();
  REQUIRE(file.at("classifier.weight").shape == Dims{4, 6});
  CHECK(file.at("classifier.weight").floats()[1] == m.initializers.at("w").floats()[4]);
  CHECK(file.at("classifier.bias").bytes == m.initializers.at("b").bytes);

  m.nodes.resize(m.nodes.size() - 2);   // a convolution of one pixel
  m.initializers["k"] = noise("k", {4, 8, 1, 1});
  m.nodes.push_back({"Conv", "", "k", {"pooled", "k"}, {"s"}, {}});
  m.nodes.push_back({"Flatten", "", "f", {"s"}, {"f"}, {}});
  m.outputs = {port("f", {})};
  const ModelInfo& pixel = find_model(write(scratch.path / "pixel.onnx", m));
  CHECK(pixel.weights().at("classifier.weight").shape == Dims{4, 8});
  CHECK(pixel.weights().at("classifier.bias").floats() == std::vector<float>(4, 0.0f));
}

TEST_CASE("an ONNX model as a network answers as the model itself", "[onnx][onnx_network][device]") {
  const Scratch scratch;
  OnnxModel m = small_model();
  const std::string path = write(scratch.path / "small.onnx", m);
  TraceOptions o = options_for(path, 16, 5);
  o.weights = find_model(path).weights();
  const WeightFile trace = run_trace(test_device(), o);
  m.outputs = {port("logits", {})};
  const auto answer = run_onnx(test_device(), Target{}, m, {{"input", WeightTensor::of({3, 3, 16, 16}, o.x)}});
  CHECK(worst(answer.outputs.at("logits").floats(), trace.at("logits.eval").floats()) < 2e-6);
  CHECK(trace.tensors.count("grad.stem.weight"));
  CHECK(trace.tensors.count("grad.hidden"));
  CHECK(!trace.tensors.count("grad.six"));
}

namespace {

// The same network as PyTorch exports it without folding: weights are turned and unsqueezed on the way.
OnnxModel unfolded(OnnxModel m) {
  const auto through = [&](const std::string& op, const std::string& weight, std::map<std::string, OnnxAttribute> attributes, std::vector<std::string> more = {}) {
    std::vector<std::string> in{weight};
    in.insert(in.end(), more.begin(), more.end());
    for (OnnxNode& n : m.nodes) std::ranges::replace(n.in, weight, weight + "/moved");
    m.nodes.insert(m.nodes.begin(), {op, "", "/" + weight + "/moved", in, {weight + "/moved"}, std::move(attributes)});
  };
  const std::vector<float> hidden = m.initializers.at("hidden").floats();
  std::vector<float> turned;
  for (size_t j = 0; j < 6; ++j)
    for (size_t i = 0; i < 8; ++i) turned.push_back(hidden[i * 6 + j]);
  m.initializers["hidden"] = WeightTensor::of({6, 8}, turned);
  through("Transpose", "hidden", {{"perm", Dims{1, 0}}});
  m.initializers["row"] = WeightTensor::of({2}, std::vector<int64_t>{1, 6});
  through("Reshape", "hidden.bias", {}, {"row"});
  OnnxNode& gemm = *std::ranges::find(m.nodes, "Gemm", &OnnxNode::op);
  gemm = {"MatMul", "", "/product", {"hr", "fc.weight"}, {"product"}, {}};
  m.nodes.insert(m.nodes.end() - 1, {"Add", "", "/logits", {"product", "fc.bias"}, {"logits"}, {}});
  through("Transpose", "fc.weight", {{"perm", Dims{1, 0}}});
  return m;
}

}  // namespace

TEST_CASE("weights that an ONNX model moves before it uses them are trained", "[onnx][onnx_network][device]") {
  const Scratch scratch;
  const std::string path = write(scratch.path / "folded.onnx", small_model()), other = write(scratch.path / "unfolded.onnx", unfolded(small_model()));
  CHECK(find_model(other).classifier == "fc");
  TraceOptions o = options_for(path, 16, 5), p = options_for(other, 16, 5);
  o.weights = find_model(path).weights(), p.weights = find_model(other).weights();
  const WeightFile a = run_trace(test_device(), o), b = run_trace(test_device(), p);
  CHECK(worst(a.at("logits.eval").floats(), b.at("logits.eval").floats()) < 2e-6);
  for (const char* name : {"grad.stem.weight", "grad.hidden.bias", "grad.fc.weight", "grad.fc.bias"}) {
    INFO(name);
    CHECK(worst(a.at(name).floats(), b.at(name).floats()) < 1e-5);
  }
  const std::vector<float> turned = b.at("grad.hidden").floats();
  std::vector<float> straight;
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 6; ++j) straight.push_back(turned[j * 8 + i]);
  CHECK(worst(a.at("grad.hidden").floats(), straight) < 1e-5);
}

TEST_CASE("what an ONNX model makes of the images' size is not used at another", "[onnx][onnx_network][device]") {
  const Scratch scratch;
  OnnxModel m = small_model();
  m.inputs = {port("input", {{-1, "batch"}, {3, {}}, {-1, "height"}, {-1, "width"}})};
  // The mean of each map as a sum by the number of its pixels, which is worked out when the model is read.
  const auto pooled = std::ranges::find(m.nodes, "GlobalAveragePool", &OnnxNode::op);
  m.initializers["axes"] = WeightTensor::of({2}, std::vector<int64_t>{2, 3});
  m.initializers["from"] = WeightTensor::of({1}, std::vector<int64_t>{2});
  m.initializers["to"] = WeightTensor::of({1}, std::vector<int64_t>{4});
  const std::vector<OnnxNode> mean{{"ReduceSum", "", "/total", {"sum", "axes"}, {"total"}, {}},
                                   {"Shape", "", "/dims", {"sum"}, {"dims"}, {}},
                                   {"Slice", "", "/sides", {"dims", "from", "to"}, {"sides"}, {}},
                                   {"Cast", "", "/reals", {"sides"}, {"reals"}, {{"to", int64_t(1)}}},
                                   {"ReduceProd", "", "/pixels", {"reals"}, {"pixels"}, {}},
                                   {"Div", "", "/pooled", {"total", "pixels"}, {"pooled"}, {}}};
  m.nodes.insert(m.nodes.erase(pooled), mean.begin(), mean.end());
  const std::string path = write(scratch.path / "open.onnx", m);
  const auto traced = [&](int size) {
    TraceOptions o = options_for(path, size, 5);
    o.weights = find_model(path).weights();
    return run_trace(test_device(), o);
  };
  CHECK(refuses([&] { traced(16); }, "--size 224"));
  CHECK(std::isfinite(traced(224).at("logits.eval").floats()[0]));
}

TEST_CASE("a network of ours and its own export train alike", "[onnx][onnx_network][device]") {
  const Scratch scratch;
  for (const char* name : {"compact_mobilenetv2", "resnet18"}) {
    INFO(name);
    const ModelInfo& model = find_model(name);
    constexpr int kSize = 32, kClasses = 7;
    Graph g;
    ModelOptions options;
    options.size = kSize;
    options.classes = kClasses;
    g.output(build_model(model, g, g.input("images", {{1, kSize, kSize, 3}, DType::f32}), {}, options).logits, "logits");
    std::map<std::string, std::vector<float>> values;
    WeightFile weights;
    for (Value v : g.states()) {
      const ValueInfo& info = g.info(v);
      values[info.name] = to_torch(info, initial_value(info.name, info, 3));
      weights.set(info.name, torch_shape(info), values[info.name]);
    }
    const std::string path = write(scratch.path / (std::string(name) + ".onnx"), export_onnx(g, values, {.fold_batch_norm = false}));
    TraceOptions ours = options_for(name, kSize, kClasses, 4), theirs = options_for(path, kSize, kClasses, 4);
    ours.weights = weights;
    theirs.weights = find_model(path).weights();
    const WeightFile a = run_trace(test_device(), ours), b = run_trace(test_device(), theirs);
    size_t compared = 0;
    for (const auto& [tensor, value] : a.tensors) {
      if (tensor.ends_with("num_batches_tracked")) continue;
      INFO(tensor);
      REQUIRE(b.tensors.count(tensor));
      REQUIRE(b.at(tensor).shape == value.shape);
      // Sums may be split otherwise where the pooling is another op.
      CHECK(worst(value.floats(), b.at(tensor).floats()) < 1e-4);
      ++compared;
    }
    CHECK(compared > 60);
  }
}

TEST_CASE("a trained ONNX network is whole without its file, and leaves as ONNX", "[onnx][onnx_network][train][device]") {
  const Scratch scratch;
  const std::string path = write(scratch.path / "small.onnx", small_model());
  for (const char* head : {"", "gap,dense8"}) {
    INFO(head);
    const Dataset data = faces(64, 21);
    TrainSettings s = small_settings(0, 0);
    s.model = s.weights = path;
    s.head = head;
    s.epochs = 1;
    s = resolve_settings(s, 16);
    follow_weights(s);
    const fs::path run = scratch.path / (std::string("run") + head);
    {
      Training training(test_device(), data, s, {}, {});
      RunFolder folder = RunFolder::create(run);
      folder.write_config(training.config());
      CHECK(training.run(folder).finished);
    }
    const SavedNetwork saved = read_network(model_path(run));   // knows nothing of `path`
    CHECK(saved.network.model->name == "small.onnx");
    CHECK((saved.network.classes == 7 && saved.network.size == 16 && saved.network.head == head));
    CHECK(saved.weights.at("stem.weight").floats() != small_model().initializers.at("stem.weight").floats());
    TraceOptions o = options_for(path, 16, 7);
    o.head = head;
    o.weights = saved.weights;
    const std::vector<float> expected = run_trace(test_device(), o).at("logits.eval").floats();

    Graph g;
    ModelOptions options;
    options.size = 16;
    options.head = head;
    build_model(*saved.network.model, g, g.input("images", {{1, 16, 16, 3}, DType::f32}), {}, options);
    const OnnxModel out = export_onnx_network(*saved.network.model, options, fit_weights(saved.weights, g).values, {});
    const std::string bytes = onnx_bytes(out);
    const OnnxModel back = parse_onnx(std::as_bytes(std::span(bytes)), "out.onnx");
    const auto answer = run_onnx(test_device(), Target{}, back, {{"input", WeightTensor::of({3, 3, 16, 16}, o.x)}});
    CHECK(worst(expected, answer.outputs.at("logits").floats()) < 2e-6);
    // Again a network: the same weights under the same names, bit for bit.
    const std::string again = write(scratch.path / (std::string("again") + (*head ? "h" : "") + ".onnx"), out);
    const WeightFile second = find_model(again).weights();
    for (const char* name : {"stem.weight", "bn.running_mean", "second.bias"}) CHECK(second.at(name).bytes == saved.weights.at(name).bytes);
  }
}

TEST_CASE("what cannot be a network is refused", "[onnx][onnx_network][hostile]") {
  const Scratch scratch;
  const auto refused = [&](const std::string& name, const OnnxModel& m, const std::string& says) {
    INFO(name);
    CHECK(refuses([&] { find_model(write(scratch.path / (name + ".onnx"), m)); }, says));
  };
  refused("one", small_model(false), "exported for one image");
  OnnxModel m = small_model();
  m.inputs[0].shape->at(1).size = 4;
  refused("four", m, "4 channels");
  m = small_model();
  m.inputs = {port("input", {{-1, {}}, {3, {}}})};
  refused("flat", m, "none of its inputs takes images");
  m = small_model();
  m.outputs.clear();
  refused("no output", m, "no output");
  m = small_model();
  m.inputs.push_back(port("other", {{1, {}}}));
  m.nodes.push_back({"Mul", "", "twice", {"scores", "other"}, {"twice"}, {}});
  m.outputs = {port("twice", {})};
  refused("two inputs", m, "more inputs");
  m = small_model();
  m.initializers["optimizer.m"] = m.initializers["stem.weight"];
  m.nodes[0].in[1] = "optimizer.m";
  refused("reserved", m, "training's own");
  m = small_model();
  m.nodes[1].op = "Mystery";
  refused("unknown", m, "Mystery");
  CHECK(refuses([&] { find_model((scratch.path / "missing.onnx").string()); }, "no such file"));
}

TEST_CASE("damaged definitions in saved weights are refused", "[onnx][onnx_network][hostile]") {
  const Scratch scratch;
  const ModelInfo& info = find_model(write(scratch.path / "small.onnx", small_model()));
  WeightFile good = info.weights();
  NetworkSettings n;
  n.model = &info;
  n.size = 16;
  n.classes = 5;
  n.preprocessing = info.preprocessing;
  set_metadata(good, n, {"a", "b", "c", "d", "e"});
  const fs::path path = scratch.path / "saved.safetensors";
  write_safetensors(path, good);
  CHECK(read_network(path).network.classes == 5);
  const std::string definition = *from_base64(good.metadata.at("network"));
  const auto refused = [&](WeightFile file) {
    write_safetensors(path, file);
    return refuses([&] { read_network(path); }, "saved.safetensors");
  };
  WeightFile file = good;
  file.tensors.erase("stem.weight");
  CHECK(refused(file));
  file = good;
  file.tensors["stem.weight"].shape = {8, 27};
  CHECK(refused(file));
  file = good;
  file.metadata["network"] += "=";
  CHECK(refused(file));
  file = good;
  file.metadata["network"] = to_base64(definition.substr(0, definition.size() / 2));
  CHECK(refused(file));
  // Any byte of it: refused, or another network that is sound. Never a crash.
  size_t accepted = 0;
  for (size_t at = 0; at < definition.size(); at += 3) {
    std::string damaged = definition;
    damaged[at] = char(damaged[at] ^ 0x11);
    file = good;
    file.metadata["network"] = to_base64(damaged);
    write_safetensors(path, file);
    try {
      read_network(path);
      ++accepted;
    } catch (const Error&) {
    }
  }
  CHECK(accepted < definition.size() / 3);
}

TEST_CASE("base64 there and back", "[onnx_network]") {
  CHECK(to_base64("") == "");
  CHECK(to_base64("foobar") == "Zm9vYmFy");   // RFC 4648, section 10
  CHECK(to_base64("fooba") == "Zm9vYmE=");
  CHECK(to_base64("foob") == "Zm9vYg==");
  for (const char* text : {"", "f", "fo", "foo", "\xff\x80\x7f"}) CHECK(from_base64(to_base64(text)) == std::string(text));
  for (const char* bad : {"Zg", "Zg=", "Zh==", "====", "Z===", "Zm9v!m==", "Zg==Zg=="}) CHECK(!from_base64(bad));
}
