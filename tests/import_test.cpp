// Weights of another origin: their names, their stems, and what partial loading takes.
#include <numeric>

#include "graph/ops/ops.h"
#include "models/init.h"
#include "models/weights/names.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"

using namespace vkfer;

namespace {

Graph network(const char* model, int channels = 3, int classes = 7, bool same_padding = false, int size = 32) {
  Graph graph;
  const Value images = graph.input("images", {{1, size, size, channels}, DType::f32});
  ModelOptions options;
  options.size = size;
  options.channels = channels;
  options.classes = classes;
  options.same_padding = same_padding;
  build_model(find_model(model), graph, images, {}, options);
  return graph;
}

// A file with the initial weights of a network.
WeightFile weights_of(const Graph& graph) {
  WeightFile file;
  file.source = "net.pth";
  export_weights(graph, FittedWeights{}, 3, file);
  return file;
}

// The names of timm's mobilenetv2_100, made from its own structure: stages of 1, 2, 3, 4, 3, 3 and 1 blocks.
std::vector<std::pair<std::string, std::string>> timm_mobilenet_v2() {
  std::vector<std::pair<std::string, std::string>> pairs;  // timm's layer, torchvision's
  pairs = {{"conv_stem", "features.0.0"}, {"bn1", "features.0.1"}, {"blocks.0.0.conv_dw", "features.1.conv.0.0"}, {"blocks.0.0.bn1", "features.1.conv.0.1"},
           {"blocks.0.0.conv_pw", "features.1.conv.1"}, {"blocks.0.0.bn2", "features.1.conv.2"}};
  const int counts[] = {1, 2, 3, 4, 3, 3, 1};
  int feature = 2;
  for (int stage = 1; stage < 7; ++stage)
    for (int block = 0; block < counts[stage]; ++block, ++feature) {
      const std::string from = fmt::format("blocks.{}.{}.", stage, block), to = fmt::format("features.{}.conv.", feature);
      for (const auto& [a, b] : {std::pair{"conv_pw", "0.0"}, {"bn1", "0.1"}, {"conv_dw", "1.0"}, {"bn2", "1.1"}, {"conv_pwl", "2"}, {"bn3", "3"}}) pairs.emplace_back(from + a, to + b);
    }
  pairs.insert(pairs.end(), {{"conv_head", "features.18.0"}, {"bn2", "features.18.1"}, {"classifier", "classifier.1"}});
  return pairs;
}

// Every tensor under another name; `layer` turns the part before the last dot.
WeightFile renamed(const WeightFile& file, const std::function<std::string(const std::string& layer)>& layer) {
  WeightFile out;
  out.source = file.source;
  for (const auto& [name, tensor] : file.tensors) {
    const size_t dot = name.rfind('.');
    out.tensors[layer(name.substr(0, dot)) + name.substr(dot)] = tensor;
  }
  return out;
}

void check_same_tensors(const WeightFile& a, const WeightFile& b) {
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) CHECK(b.at(name).bytes == tensor.bytes);
}

std::vector<int64_t> pad_of(const Graph& graph, const std::string& label) {
  for (const Node& node : graph.nodes())
    if (node.label == label) return node.attrs.integers("pad", {});
  FAIL(label);
  return {};
}

}  // namespace

TEST_CASE("names of wrappers are dropped, others stay", "[weights][import]") {
  const WeightFile ours = weights_of(network("compact_resnet"));
  const ModelInfo& model = find_model("compact_resnet");
  for (const std::string prefix : {"", "module.", "model.", "_orig_mod.module.", "net.model."}) {
    INFO(prefix);
    WeightFile file = renamed(ours, [&](const std::string& layer) { return prefix + layer; });
    adopt_names(file, model);
    check_same_tensors(ours, file);
    CHECK(file.notes.empty() == prefix.empty());
  }
  WeightFile half = renamed(ours, [](const std::string& layer) { return (layer < "conv" ? "module." : "") + layer; });
  const size_t with_prefix = size_t(std::ranges::count_if(half.tensors, [](const auto& t) { return t.first.starts_with("module."); }));
  adopt_names(half, model);
  CHECK(size_t(std::ranges::count_if(half.tensors, [](const auto& t) { return t.first.starts_with("module."); })) == with_prefix);
}

TEST_CASE("timm's MobileNetV2 becomes torchvision's", "[weights][import]") {
  const WeightFile ours = weights_of(network("mobilenetv2"));
  std::map<std::string, std::string> to_timm;
  for (const auto& [timm, torchvision] : timm_mobilenet_v2()) to_timm[torchvision] = timm;
  WeightFile file = renamed(ours, [&](const std::string& layer) { return "module." + to_timm.at(layer); });
  CHECK(file.tensors.count("module.blocks.6.0.conv_pwl.weight") == 1);
  adopt_names(file, find_model("mobilenetv2"));
  check_same_tensors(ours, file);
  CHECK(file.notes.back() == "mobilenetv2's names were taken from timm's mobilenetv2");
}

TEST_CASE("two tensors for one name are refused", "[weights][import]") {
  WeightFile file = weights_of(network("mobilenetv2"));
  std::map<std::string, std::string> to_timm;
  for (const auto& [timm, torchvision] : timm_mobilenet_v2()) to_timm[torchvision] = timm;
  file = renamed(file, [&](const std::string& layer) { return to_timm.at(layer); });
  file.tensors["features.0.0.weight"] = file.tensors.at("conv_stem.weight");
  CHECK_THROWS_WITH(adopt_names(file, find_model("mobilenetv2")), contains("both mean 'features.0.0.weight'"));
}

TEST_CASE("partial loading takes what fits and lists the rest", "[weights][import]") {
  const Graph graph = network("compact_mobilenetv2");
  WeightFile file = weights_of(network("compact_mobilenetv2", 3, 9));
  file.tensors.erase("init_conv.0.weight");
  file.set("stranger", {1}, std::vector<float>{1});
  CHECK_THROWS_WITH(fit_weights(file, graph, {.classifier = "classifier"}), contains("1 missing: init_conv.0.weight") && contains("stranger") && contains("2 wrong shape"));
  const FittedWeights fitted = fit_weights(file, graph, {.classifier = "classifier", .partial = true});
  CHECK(fitted.missing == std::vector<std::string>{"init_conv.0.weight"});
  CHECK(fitted.unexpected == std::vector<std::string>{"stranger"});
  CHECK(fitted.misshaped == std::vector<std::string>{"classifier.bias (got [9], expected [7])", "classifier.weight (got [9,128], expected [7,128])"});
  WeightFile out;
  export_weights(graph, fitted, 5, out);
  const ValueInfo& stem = graph.info(graph.find("init_conv.0.weight"));
  CHECK(out.at("init_conv.0.weight").floats() == to_torch(stem, initial_value(stem.name, stem, 5)));
  CHECK(out.at("last_conv.0.weight").bytes == file.at("last_conv.0.weight").bytes);
  CHECK(fit_weights(out, graph).values.size() == fitted.values.size() + 3);  // complete now
}

TEST_CASE("a stem is adapted only when asked, and keeps its answer to gray pictures", "[weights][import]") {
  // The compact ResNet has two filters that take the image: the first convolution and the shortcut beside it.
  const Graph colour = network("compact_resnet", 3), gray = network("compact_resnet", 1);
  const auto sum_of = [](const std::vector<float>& v) { return std::accumulate(v.begin(), v.end(), 0.0); };
  for (const auto& [from, to, asked, other, name] : {std::tuple(&colour, &gray, StemChannels::sum, StemChannels::replicate, "sum"),
                                                     std::tuple(&gray, &colour, StemChannels::replicate, StemChannels::sum, "replicate")}) {
    INFO(name);
    const WeightFile file = weights_of(*from);
    CHECK_THROWS_WITH(fit_weights(file, *to), contains("2 wrong shape") && contains(std::string("--adapt-stem ") + name));
    CHECK_THROWS_WITH(fit_weights(file, *to, {.stem = other}), contains("2 wrong shape"));
    const FittedWeights fitted = fit_weights(file, *to, {.stem = asked});
    CHECK(fitted.adapted.size() == 2);
    for (const auto& [state, values] : fitted.values) {
      INFO(state);
      const auto before = file.at(state).floats();
      if (before.size() == values.size()) CHECK(before == values);
      else CHECK(sum_of(values) == Approx(sum_of(before)).margin(1e-5));
    }
  }
  WeightFile file;
  file.set("w", {1, 3, 1, 1}, std::vector<float>{1, 2, 4});
  Graph one;
  const Value images = one.input("images", {{1, 4, 4, 1}, DType::f32});
  one.add1(ops::conv2d, {}, {images, one.state("w", {{1, 1, 1, 1}, DType::f32}, {.layout = Layout::filter})}, "conv");
  CHECK(fit_weights(file, one, {.stem = StemChannels::sum}).values.at("w") == std::vector<float>{7});
}

TEST_CASE("SAME padding puts what is odd right and below, at strides alone", "[models]") {
  const Graph even = network("mobilenetv2", 3, 7, true, 32), odd = network("mobilenetv2", 3, 7, true, 33), torch = network("mobilenetv2", 3, 7, false, 32);
  using Pad = std::vector<int64_t>;
  CHECK(pad_of(even, "features.0.0") == Pad{0, 0, 1, 1});
  CHECK(pad_of(odd, "features.0.0") == Pad{1, 1, 1, 1});          // 33 -> 17
  CHECK(pad_of(even, "features.2.conv.1.0") == Pad{0, 0, 1, 1});  // depthwise, stride 2
  CHECK(pad_of(even, "features.1.conv.0.0") == Pad{1, 1, 1, 1});  // stride 1
  CHECK(pad_of(even, "features.18.0") == Pad{0, 0, 0, 0});
  CHECK(pad_of(torch, "features.0.0") == Pad{1, 1, 1, 1});
}
