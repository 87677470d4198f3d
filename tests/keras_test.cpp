// Keras' files: layouts, names, and what goes with the weights of its networks.
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "models/weights/formats.h"
#include "models/weights/keras.h"
#include "models/weights/names.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/data_files.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tools/train/saved_network.h"
#include "tools/train/trace.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

const fs::path kFiles = fs::path(VKFER_FIXTURES) / "h5";
using Shape64 = std::vector<int64_t>;

std::set<std::string> names_of(const WeightFile& file) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.insert(name);
  return names;
}

float at(const WeightTensor& t, const Shape64& index) {
  int64_t i = 0;
  for (size_t d = 0; d < index.size(); ++d) i = i * t.shape[d] + index[d];
  return t.floats()[size_t(i)];
}

Graph network(const std::string& model, const std::string& head = {}, int classes = 7) {
  const ModelInfo& info = find_model(model);
  Graph graph;
  ModelOptions options;
  options.size = info.default_size;
  options.classes = classes;
  options.head = head;
  const Value images = graph.input("images", {{1, options.size, options.size, 3}, DType::f32});
  build_model(info, graph, images, {}, options);
  return graph;
}

WeightFile weights_of(const Graph& graph) {
  WeightFile file;
  file.source = "net.h5";
  export_weights(graph, FittedWeights{}, 3, file);
  std::erase_if(file.tensors, [](const auto& t) { return t.first.ends_with("num_batches_tracked"); });
  return file;
}

// The same under other names; `layer` turns the part before the last dot.
WeightFile renamed(const WeightFile& file, const std::map<std::string, std::string>& layers) {
  WeightFile out;
  out.source = file.source;
  for (const auto& [name, tensor] : file.tensors) {
    const size_t dot = name.rfind('.');
    const std::string layer = layers.at(name.substr(0, dot));
    out.tensors[layer + name.substr(dot)] = tensor;
    if (!std::ranges::count(out.order, layer)) out.order.push_back(layer);
  }
  return out;
}

void check_same_tensors(const WeightFile& a, const WeightFile& b) {
  CHECK(names_of(a) == names_of(b));
  for (const auto& [name, tensor] : a.tensors) CHECK(b.at(name).bytes == tensor.bytes);
}

// Ours -> Keras', written down from the networks' own structure rather than from the tables under test.
std::map<std::string, std::string> mobilenet_v2_layers() {
  std::map<std::string, std::string> m = {{"features.0.0", "Conv1"}, {"features.0.1", "bn_Conv1"}, {"features.18.0", "Conv_1"}, {"features.18.1", "Conv_1_bn"}, {"classifier.1", "predictions"}};
  const auto add = [&](int feature, const std::string& prefix, const std::vector<std::pair<std::string, std::string>>& parts) {
    for (const auto& [ours, theirs] : parts) m[fmt::format("features.{}.conv.{}", feature, ours)] = prefix + theirs;
  };
  add(1, "expanded_conv_", {{"0.0", "depthwise"}, {"0.1", "depthwise_BN"}, {"1", "project"}, {"2", "project_BN"}});
  for (int i = 1; i <= 16; ++i)
    add(i + 1, fmt::format("block_{}_", i), {{"0.0", "expand"}, {"0.1", "expand_BN"}, {"1.0", "depthwise"}, {"1.1", "depthwise_BN"}, {"2", "project"}, {"3", "project_BN"}});
  return m;
}

std::map<std::string, std::string> efficientnet_layers() {
  std::map<std::string, std::string> m = {{"features.0.0", "stem_conv"}, {"features.0.1", "stem_bn"}, {"features.8.0", "top_conv"}, {"features.8.1", "top_bn"}, {"classifier.1", "predictions"}};
  const int counts[] = {1, 2, 2, 3, 3, 4, 1};
  for (int stage = 1; stage <= 7; ++stage)
    for (int i = 0; i < counts[stage - 1]; ++i) {
      const std::string ours = fmt::format("features.{}.{}.block.", stage, i), theirs = fmt::format("block{}{}_", stage, char('a' + i));
      int at = 0;
      if (stage > 1) m[ours + "0.0"] = theirs + "expand_conv", m[ours + "0.1"] = theirs + "expand_bn", at = 1;
      m[fmt::format("{}{}.0", ours, at)] = theirs + "dwconv", m[fmt::format("{}{}.1", ours, at)] = theirs + "bn";
      m[fmt::format("{}{}.fc1", ours, at + 1)] = theirs + "se_reduce", m[fmt::format("{}{}.fc2", ours, at + 1)] = theirs + "se_expand";
      m[fmt::format("{}{}.0", ours, at + 2)] = theirs + "project_conv", m[fmt::format("{}{}.1", ours, at + 2)] = theirs + "project_bn";
    }
  return m;
}

}  // namespace

TEST_CASE("Keras' layouts give torch's variables and order", "[weights][keras]") {
  for (const char* file : {"keras2_model.h5", "keras2_weights.h5", "keras2_latest.h5"}) {
    INFO(file);
    const WeightFile f = read_weights(kFiles / file);
    CHECK(f.format == "Keras (h5)");
    CHECK(names_of(f) == std::set<std::string>{"bn.bias", "bn.running_mean", "bn.running_var", "bn.weight", "conv.bias", "conv.weight", "dense.bias", "dense.weight", "dw.weight"});
    CHECK(f.order.back() == "dense");
    CHECK(f.metadata.at("keras_version") == "2.4.0");
    const WeightTensor &conv = f.at("conv.weight"), &dw = f.at("dw.weight"), &dense = f.at("dense.weight");
    CHECK(conv.shape == Shape64{4, 2, 3, 3});
    CHECK(at(conv, {3, 1, 2, 0}) == float(((2 * 3 + 0) * 2 + 1) * 4 + 3));  // kernel[2,0,1,3] of [3,3,2,4]
    CHECK(dw.shape == Shape64{4, 1, 3, 3});
    CHECK(at(dw, {2, 0, 1, 2}) == float((1 * 3 + 2) * 4 + 2));
    CHECK(dense.shape == Shape64{3, 4});
    CHECK(at(dense, {2, 1}) == float(1 * 3 + 2));
    CHECK(f.at("bn.weight").floats() == std::vector<float>{1, 2, 3, 4});
    CHECK(f.at("bn.running_var").floats() == std::vector<float>{4, 5, 6, 7});
  }
  CHECK_THAT(read_weights(kFiles / "keras2_model.h5").notes.at(0), contains("1 tensors of an optimizer"));
  CHECK(names_of(read_weights(kFiles / "keras2_long_lists.h5")) == std::set<std::string>{"a.bias", "a.weight", "b.bias", "b.weight"});
  CHECK(names_of(read_weights(kFiles / "keras3_legacy.h5")) == std::set<std::string>{"conv2d.bias", "conv2d.weight", "dense.weight"});

  const WeightFile plain = read_weights(kFiles / "keras3.weights.h5");
  CHECK(plain.at("functional.conv2d_1.weight").shape == Shape64{5, 4, 1, 1});
  CHECK(plain.at("functional.depthwise_conv2d.weight").shape == Shape64{4, 1, 3, 3});
  CHECK(plain.at("functional.batch_normalization.running_mean").floats() == std::vector<float>{3, 4, 5, 6});
  CHECK_THAT(plain.notes.at(0), contains("3 variables of an optimizer"));
  for (const char* file : {"keras3_named.weights.h5", "keras3.keras", "keras3_deflated.keras"}) {
    INFO(file);
    const WeightFile f = read_weights(kFiles / file);
    CHECK(names_of(f) == std::set<std::string>{"Conv1.weight", "Conv_1.bias", "Conv_1.weight", "bn_Conv1.bias", "bn_Conv1.running_mean", "bn_Conv1.running_var", "bn_Conv1.weight",
                                               "expanded_conv_depthwise.weight", "predictions.bias", "predictions.weight"});
    CHECK(f.format == (std::string(file).ends_with(".keras") ? "Keras (zip)" : "Keras (h5)"));
    if (f.format == "Keras (zip)") CHECK(f.metadata.at(kKerasBatchNorm) == "0.001,0.999");
  }
}

TEST_CASE("layers of Keras' networks become ours", "[weights][keras]") {
  const auto check = [](const std::string& model, const std::map<std::string, std::string>& layers, const std::string& table) {
    INFO(model);
    const WeightFile ours = weights_of(network(model));
    WeightFile file = renamed(ours, layers);
    const WeightConventions c = adopt_names(file, find_model(model));
    check_same_tensors(ours, file);
    CHECK_THAT(file.notes.at(0), contains(table));
    return c;
  };
  const WeightConventions mobile = check("mobilenetv2", mobilenet_v2_layers(), "Keras' MobileNetV2");
  CHECK((mobile.same_padding && mobile.preprocessing->name == "half" && mobile.batch_norm == BatchNormChoice{1e-3, 1e-3} && mobile.reversed_stem.empty()));
  check("mobilenetv2_035", mobilenet_v2_layers(), "Keras' MobileNetV2");
  const WeightConventions efficient = check("efficientnet_b0", efficientnet_layers(), "Keras' EfficientNetB0");
  CHECK((efficient.same_padding && !efficient.preprocessing && efficient.batch_norm == BatchNormChoice{1e-3, 1e-2}));

  std::map<std::string, std::string> same, old = {{"conv1_conv", "conv1"}, {"conv1_bn", "bn_conv1"}, {"predictions", "fc1000"}};
  const WeightFile resnet = weights_of(network("resnet50_keras"));
  for (const auto& [name, tensor] : resnet.tensors) {
    const std::string layer = name.substr(0, name.rfind('.'));
    same[layer] = layer;
    int stage, block, part;
    char kind[8];
    if (std::sscanf(layer.c_str(), "conv%d_block%d_%d_%7s", &stage, &block, &part, kind) == 4)
      old[layer] = fmt::format("{}{}{}_branch{}", std::string(kind) == "bn" ? "bn" : "res", stage, char('a' + block - 1), part == 0 ? "1" : std::string("2") + char('a' + part - 1));
  }
  CHECK(check("resnet50_keras", same, "Keras' ResNet50").batch_norm.eps == 1.001e-5);
  const WeightConventions before = check("resnet50_keras", old, "before 2019");
  CHECK((before.batch_norm.eps == 1e-3 && before.reversed_stem == "conv1_conv.weight" && before.preprocessing->name == "caffe" && !before.same_padding));
}

TEST_CASE("VGG's layers, the first dense one of which takes what Keras flattened pixel by pixel", "[weights][keras]") {
  const auto check = [](const std::string& model, const std::vector<int>& counts, const std::string& table) {
    WeightFile file;                             // names alone, but for fc1: shapes are checked later
    file.source = "net.h5";
    std::map<std::string, std::string> layers = {{"fc1", "classifier.0"}, {"fc2", "classifier.3"}, {"predictions", "classifier.6"}};
    int feature = 0, block = 1;
    for (const int count : counts) {
      for (int i = 1; i <= count; ++i, feature += 2) layers[fmt::format("block{}_conv{}", block, i)] = fmt::format("features.{}", feature);
      ++feature, ++block;
    }
    float value = 0;
    for (const auto& [theirs, ours] : layers) {
      file.set(theirs + ".weight", {1, 1, 1, 1}, std::vector<float>{++value});
      file.set(theirs + ".bias", {1}, std::vector<float>{value});
      file.order.push_back(theirs);
    }
    std::vector<float> first(2 * 25088);
    for (size_t i = 0; i < first.size(); ++i) first[i] = float(i % 25088);
    file.set("fc1.weight", {2, 25088}, first);
    const WeightFile before = file;
    const WeightConventions c = adopt_names(file, find_model(model));
    CHECK((c.reversed_stem == "features.0.weight" && c.preprocessing->name == "caffe" && !c.same_padding && c.batch_norm == BatchNormChoice{}));
    CHECK_THAT(file.notes.at(0), contains(table));
    CHECK(file.tensors.size() == before.tensors.size());
    for (const auto& [theirs, ours] : layers) {
      INFO(ours);
      CHECK(file.at(ours + ".bias").bytes == before.at(theirs + ".bias").bytes);
    }
    const WeightTensor& dense = file.at("classifier.0.weight");
    for (const int channel : {0, 1, 511})
      for (const int pixel : {0, 1, 48}) CHECK(at(dense, {1, channel * 49 + pixel}) == float(pixel * 512 + channel));
  };
  check("vgg16", {2, 2, 3, 3, 3}, "Keras' VGG16");
  check("vgg19", {2, 2, 4, 4, 4}, "Keras' VGG19");
}

TEST_CASE("a stem of no pixels has nothing to turn around", "[weights][keras][hostile]") {
  WeightTensor t = WeightTensor::of({64, 3, 0, 3}, std::vector<float>{});
  t.bytes.resize(64);   // whatever a file claims
  reverse_channels(t);
  CHECK(t.bytes.size() == 64);
}

TEST_CASE("the stem of a caffe network is turned around, under that preprocessing alone", "[weights][keras]") {
  WeightTensor t = WeightTensor::of({1, 3, 1, 2}, std::vector<float>{1, 2, 3, 4, 5, 6});
  reverse_channels(t);
  CHECK(t.floats() == std::vector<float>{5, 6, 3, 4, 1, 2});
  WeightTensor gray = WeightTensor::of({3, 1, 1, 1}, std::vector<float>{1, 2, 3});
  reverse_channels(gray);
  CHECK(gray.floats() == std::vector<float>{1, 2, 3});
}

TEST_CASE("Keras 3 without names: layers by their order", "[weights][keras]") {
  for (const char* model : {"mobilenetv2", "efficientnet_b0", "resnet50_keras"}) {
    INFO(model);
    const Graph graph = network(model);
    const WeightFile ours = weights_of(graph);
    // Layers in Keras' order: as built, but a ResNet's shortcut comes before its block's third convolution.
    std::vector<std::string> order;
    for (const Value v : graph.states())
      if (const std::string layer = graph.info(v).name.substr(0, graph.info(v).name.rfind('.')); order.empty() || order.back() != layer) order.push_back(layer);
    for (size_t i = 0; i + 6 < order.size(); ++i)
      if (order[i].ends_with("_0_conv")) std::rotate(order.begin() + ptrdiff_t(i), order.begin() + ptrdiff_t(i) + 2, order.begin() + ptrdiff_t(i) + 6), i += 6;
    std::map<std::string, std::string> layers;
    std::map<std::string, int> used;
    std::vector<std::string> numbered;
    for (const std::string& layer : order) {
      const WeightTensor& w = ours.at(layer + ".weight");
      const bool norm = ours.tensors.count(layer + ".running_mean"), depthwise = w.shape.size() == 4 && w.shape[1] == 1;
      const std::string kind = norm ? "batch_normalization" : w.shape.size() == 2 ? "dense" : depthwise ? "depthwise_conv2d" : "conv2d";
      const int n = used[kind]++;
      layers[layer] = "functional." + kind + (n ? "_" + std::to_string(n) : "");
      numbered.push_back(layers[layer]);
    }
    WeightFile file = renamed(ours, layers);
    file.order = numbered;
    adopt_names(file, find_model(model));
    check_same_tensors(ours, file);
    CHECK_THAT(file.notes.at(0), contains("from the order of the file's layers"));
  }
}

TEST_CASE("a head of one's own, and a Dense without bias", "[weights][keras]") {
  const std::string head = "gap,dense20,bn,relu,dense10";
  const Graph graph = network("mobilenetv2_035", head, 3);
  WeightFile ours = weights_of(graph);
  std::map<std::string, std::string> layers = mobilenet_v2_layers();
  layers["head.1"] = "hidden", layers["head.2"] = "batch_normalization", layers["head.4"] = "another", layers["head.classes"] = "out";
  WeightFile file = renamed(ours, layers);
  std::vector<std::string> dense = {"hidden", "another", "out"};  // not in the order of the alphabet
  std::erase_if(file.order, [&](const std::string& l) { return std::ranges::count(dense, l) > 0; });
  file.order.insert(file.order.end(), dense.begin(), dense.end());
  file.tensors.erase("out.bias");
  WeightFile without_head = file;
  adopt_names(file, find_model("mobilenetv2_035"), head);
  ours.set("head.classes.bias", {3}, std::vector<float>(3));
  check_same_tensors(ours, file);
  CHECK(std::ranges::count(file.notes, "head.classes has no bias: it was given one of zeros") == 1);
  CHECK(fit_weights(file, graph).values.size() == file.tensors.size());
  // With the network's own head the layers stay what they were, and are named.
  adopt_names(without_head, find_model("mobilenetv2_035"));
  CHECK_THROWS_WITH(fit_weights(without_head, network("mobilenetv2_035")), contains("missing: classifier.1.bias") && contains("unexpected") && contains("hidden.weight"));
}

TEST_CASE("normalization in the network becomes the preprocessing", "[weights][keras]") {
  const WeightFile ours = weights_of(network("efficientnet_b0"));
  const auto adopted = [&](const std::vector<float>& mean, const std::vector<float>& variance) {
    WeightFile file = renamed(ours, efficientnet_layers());
    file.set("normalization.mean", {3}, mean);
    file.set("normalization.variance", {3}, variance);
    const int64_t zero = 0;
    file.tensors["normalization.count"] = WeightTensor::of({}, std::span(&zero, 1));
    file.order.insert(file.order.begin(), "normalization");
    const WeightConventions c = adopt_names(file, find_model("efficientnet_b0"));
    check_same_tensors(ours, file);
    return *c.preprocessing;
  };
  CHECK(adopted({0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}).name == "imagenet");
  CHECK(adopted({0, 0, 0}, {1, 1, 1}).name == "unit");
  const Preprocessing own = adopted({0.5f, 0.25f, 0.125f}, {4, 9, 16});
  CHECK((own.name == "in the file" && own.mean[1] == 0.25 && own.std == std::vector<double>{2, 3, 4}));
  CHECK_THROWS_WITH(adopted({0, 0, 0}, {1, 1, 0}), contains("variance of 0"));
}

TEST_CASE("Keras' layers that no network here has are refused, naming those that are known", "[weights][keras]") {
  WeightFile file = read_weights(kFiles / "keras2_weights.h5"), again = file;
  CHECK_THROWS_WITH(adopt_names(file, find_model("mobilenetv2")), contains("got Keras' layers 'conv' and others, expected those of Keras' MobileNetV2"));
  CHECK_THROWS_WITH(adopt_names(again, find_model("resnet18")), contains("resnet18 is none") && contains("resnet50_keras are known"));
}

TEST_CASE("batch norm's epsilon and momentum", "[models]") {
  CHECK(batch_norm_from_text("") == BatchNormChoice{});
  CHECK(batch_norm_from_text("0.001,0.01") == BatchNormChoice{1e-3, 1e-2});
  CHECK(batch_norm_from_text(batch_norm_text({1.001e-5, 0.25})) == BatchNormChoice{1.001e-5, 0.25});
  for (const char* bad : {"0.001", "0.001,", ",0.1", "0.001,0.1,", "0,0.1", "-1,0.1", "nan,0.1", "1e-3,2", "x,y"}) CHECK_THROWS_AS(batch_norm_from_text(bad), Error);
  Graph graph;
  ModelOptions options;
  options.training = true;
  options.batch_norm = {1e-3, 0.25};
  options.size = 48;
  options.batch = 2;
  options.stochastic = false;
  build_model(find_model("mobilenetv2"), graph, graph.input("images", {{2, 48, 48, 3}, DType::f32}), {}, options);
  size_t norms = 0;
  for (const Node& n : graph.nodes()) {
    if (std::string_view(n.op->name) != "batch_norm") continue;
    ++norms;
    CHECK((n.attrs.number("eps", 0) == 1e-3 && n.attrs.number("momentum", 0) == 0.25));
  }
  CHECK(norms == 52);
}

TEST_CASE("a Keras file whose head is another than --head gives its backbone", "[weights][keras][real]") {
  const std::string path = test_data("keras_mobilenet_v2_035.h5");
  if (path.empty()) return;
  for (const char* head : {"r3", "dense512x3", "gap,dense99"}) {
    INFO(head);
    const SavedNetwork saved = read_network(path, {.model = "mobilenetv2_035", .head = head, .classifier_may_be_absent = true});
    CHECK((saved.network.head.empty() && saved.network.classes == 0));
    CHECK(saved.weights.tensors.count("features.18.0.weight"));
  }
}

TEST_CASE("a published Keras MobileNetV2 answers as its reconstruction in PyTorch", "[weights][keras][real][device]") {
  const std::string path = test_data("keras_mobilenet_v2_035.h5");
  if (path.empty()) return;
  const auto expected = nlohmann::json::parse(std::ifstream(fs::path(VKFER_FIXTURES) / "keras_mobilenet_v2_035.json"));
  CHECK(expected.size() == 2);
  const SavedNetwork saved = read_network(path, {.model = "mobilenetv2_035", .head = "gap,dense100"});
  CHECK((saved.network.classes == 2 && saved.network.same_padding && saved.network.preprocessing.name == "half"));
  CHECK(saved.network.batch_norm.eps == 1e-3);
  CHECK(saved.network.batch_norm.momentum == Approx(1e-3));
  for (const auto& [name, c] : expected.items()) {
    INFO(name);
    TraceOptions o;
    o.model = "mobilenetv2_035";
    o.head = saved.network.head;
    o.size = c["size"];
    o.batch = c["images"];
    o.classes = 2;
    o.weights = saved.weights;
    o.same_padding = true;
    o.batch_norm = saved.network.batch_norm;
    o.labels.assign(size_t(o.batch), 0);
    const int64_t s = o.size;
    const auto pixels = fixture::labels("keras." + name, o.batch * s * s * 3, 256);
    for (int64_t n = 0; n < o.batch; ++n)
      for (int64_t k = 0; k < 3; ++k)
        for (int64_t p = 0; p < s * s; ++p) o.x.push_back(float(double(pixels[size_t((n * s * s + p) * 3 + k)]) / 127.5 - 1));
    const auto got = run_trace(test_device(), o).at("logits.eval").floats();
    const auto want = c["logits"].get<std::vector<double>>();
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i) CHECK(double(got[i]) == Approx(want[i]).epsilon(1e-5).margin(1e-5));
  }
}
