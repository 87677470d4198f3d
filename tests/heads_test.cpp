// Heads and freezing: totals as published, names, what trains and what does not, and gradients that stop where nothing trains.
#include <algorithm>
#include <set>

#include "graph/ops/ops.h"
#include "graph/reference.h"
#include "models/freeze.h"
#include "models/head.h"
#include "models/registry.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tools/train/step_graph.h"

using namespace vkfer;

namespace {

struct Net {
  Graph graph;
  BuiltModel built;
};

Net net_of(const char* model, ModelOptions options) {
  Net net;
  Value images = net.graph.input("images", {{options.batch, options.size, options.size, options.channels}, DType::f32});
  Value step = net.graph.input("step", {{5}, DType::i32});
  net.built = build_model(find_model(model), net.graph, images, step, options);
  return net;
}

ModelSummary summary_of(const char* model, ModelOptions options) { return summarise(find_model(model), options); }

std::set<std::string> trainable_names(const Graph& graph) {
  std::set<std::string> names;
  for (Value v : graph.states())
    if (graph.info(v).state.trainable) names.insert(graph.info(v).name);
  return names;
}

std::vector<std::string> words(std::string_view head) {
  std::vector<std::string> out;
  const HeadSpec spec = parse_head(head);
  const auto add = [&](const std::vector<HeadLayer>& layers) {
    for (const HeadLayer& l : layers) {
      static constexpr const char* kNames[] = {"gap", "gmp", "flatten", "dense", "dropout", "bn", ""};
      std::string word = kNames[int(l.kind)];
      if (l.units) word += std::to_string(l.units);
      if (l.p > 0) word += fmt::format("{}", l.p);
      if (l.function) word += l.function->name;
      out.push_back(word);
    }
  };
  add(spec.trunk);
  if (!spec.branch.empty()) out.push_back("/");
  add(spec.branch);
  return out;
}

int gradient_nodes(const Graph& graph, std::string_view label) {
  return int(std::count_if(graph.nodes().begin(), graph.nodes().end(), [&](const Node& n) {
    return n.label.starts_with(label) && n.label.find("/grad") != std::string::npos;
  }));
}

NetworkSettings settings_of(const char* model, const char* freeze) {
  NetworkSettings n;
  n.model = &find_model(model);
  n.size = 32;
  n.batch = 2;
  n.pixel_channels = 0;
  n.head = "gap";
  n.freeze = freeze;
  return n;
}

}  // namespace

TEST_CASE("the studies' networks have the published totals", "[models][heads]") {
  auto keras_total = [](const ModelSummary& s) { return s.parameters + s.running_statistics; };
  const ModelOptions r0{.size = 224, .classes = 8, .valence_arousal = true, .head = "r0"};
  CHECK(keras_total(summary_of("resnet50_keras", r0)) == 24835082);
  CHECK(summary_of("resnet50_keras", r0).trainable_frozen_backbone == 1247370);
  CHECK(keras_total(summary_of("vgg16", r0)) == 15175626);
  CHECK(summary_of("vgg16", r0).trainable_frozen_backbone == 460938);

  for (const char* head : {"r1", "", "default", "gap"})
    CHECK(summary_of("resnet50", {.size = 224, .valence_arousal = true, .head = head}).parameters == 23526473);
  CHECK(summary_of("efficientnet_b0", {.size = 224, .classes = 1000}).parameters == 5288548);

  for (const char* head : {"r2", "gap", "gmp"}) CHECK(summary_of("vgg19", {.head = head}).parameters == 20027975);

  const ModelOptions classes{.size = 128, .classes = 8, .head = "r3"}, affect{.size = 128, .classes = 0, .valence_arousal = true, .head = "r3"};
  CHECK(summary_of("vgg16", classes).trainable_frozen_backbone == 133384);
  CHECK(summary_of("mobilenetv2", classes).trainable_frozen_backbone == 329992);
  CHECK(summary_of("vgg16", affect).trainable_frozen_backbone == 131842);
  CHECK(summary_of("mobilenetv2", affect).trainable_frozen_backbone == 328450);

  const ModelSummary r4a = summary_of("vgg16", {.head = "r4a", .freeze = "blocks:4"});
  CHECK(keras_total(r4a) == 14735879);
  CHECK(r4a.trainable == 7099399);
}

TEST_CASE("a head is composed of words", "[heads]") {
  using Words = std::vector<std::string>;
  CHECK(words("gap,dense512,relu,dropout0.5") == Words{"gap", "dense512", "relu", "dropout0.5"});
  CHECK(words("dense512x3") == Words{"gap", "dense512", "relu", "dense512", "relu", "dense512", "relu"});
  CHECK(words("dense64,linear,dropout") == Words{"gap", "dense64", "dropout0.5"});
  CHECK(words("flatten,dense8,bn,silu") == Words{"flatten", "dense8", "bn", "silu"});
  CHECK(words("r0") == Words{"gap", "dense512", "relu", "/", "dense128", "relu"});
  CHECK(words("dropout0.25,gmp/dense4,linear,dropout0.1") == Words{"dropout0.25", "gmp", "/", "dense4", "dropout0.1"});
  for (const NamedHead& head : named_heads()) CHECK(words(head.name) == words(head.composition));
}

TEST_CASE("a head that cannot be understood is refused by its word", "[heads]") {
  CHECK_THROWS_WITH(parse_head("gap,dens512"), contains("got 'dens512'") && contains("did you mean dense512?"));
  CHECK_THROWS_WITH(parse_head("r5"), contains("got 'r5'"));
  for (const char* bad : {"", ",", "gap,", "dense", "dense0", "dense-4", "dense1.5", "dense99999999999", "dense8x", "dense8x0", "dense8y2",
                          "dense8x2x2", "dropout1", "dropout-0.1", "dropoutnan", "dropout0.5x", "relu7", "gap gmp", "/", "gap/", "gap/gap",
                          "dense512,gap", "gap,gmp", "gap/dense4/dense4", "DENSE4", "dense4,\xff"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_head(bad), Error);
  }
  CHECK_THROWS_WITH(parse_head("dense8x64,dense8"), contains("more than 64 layers"));
  CHECK_THROWS_AS(parse_head(std::string(1 << 20, 'x')), Error);
  CHECK_THROWS_WITH(net_of("resnet18", {.classes = 0}), contains("classes: got 0, expected 1"));
}

TEST_CASE("outputs of every head have their shapes and names", "[heads]") {
  const Net net = net_of("compact_resnet", {.classes = 5, .valence_arousal = true, .head = "gap,dense16,dropout0.5/dense4", .training = true, .batch = 3});
  CHECK(net.graph.desc(net.built.logits) == TensorDesc{{3, 5}, DType::f32});
  CHECK(net.graph.desc(net.built.valence) == TensorDesc{{3, 1}, DType::f32});
  CHECK(net.graph.desc(net.built.arousal) == TensorDesc{{3, 1}, DType::f32});
  CHECK(net.built.feature_label == "head.2");
  CHECK(net.built.step);
  for (const char* name : {"head.1.weight", "head.1.bias", "head.classes_branch.0.weight", "head.classes.weight", "head.valence_branch.0.bias",
                           "head.valence.weight", "head.arousal.bias"}) {
    INFO(name);
    CHECK(net.graph.find(name));
  }
  CHECK(torch_shape(net.graph.info(net.graph.find("head.classes.weight"))) == std::vector<int64_t>{5, 4});
  CHECK(!net.graph.find("fc1.weight"));
  CHECK(classifier_of(find_model("compact_resnet"), "gap") == "head.classes");
  CHECK(classifier_of(find_model("compact_resnet"), "default") == "fc2");

  const Net affect = net_of("mobilenetv2", {.classes = 0, .valence_arousal = true});
  CHECK(!affect.built.logits);
  CHECK(affect.graph.shape(affect.built.valence) == Shape{1, 1});
}

TEST_CASE("every backbone takes every head", "[heads]") {
  for (const ModelInfo* model : all_models())
    for (const NamedHead& head : named_heads())
      for (int channels : {1, 3}) {
        INFO(model->name << " " << head.name);
        const Net net = net_of(model->name.c_str(), {.size = 32, .channels = channels, .classes = 2, .valence_arousal = true,
                                                     .head = std::string(head.name), .training = true, .batch = 2});
        CHECK(net.graph.shape(net.built.logits) == Shape{2, 2});
      }
}

TEST_CASE("what follows a flatten keeps torch's order of features", "[heads][weights]") {
  const Net net = net_of("compact_resnet", {.size = 16, .head = "flatten,bn,dense8"});
  const ValueInfo& norm = net.graph.info(net.graph.find("head.1.running_mean"));
  CHECK(torch_shape(norm) == std::vector<int64_t>{4 * 4 * 48});
  std::vector<float> counted(4 * 4 * 48);
  for (size_t i = 0; i < counted.size(); ++i) counted[i] = float(i);
  const std::vector<float> device = from_torch(norm, counted);
  CHECK(device[1] == 16);       // y=0 x=0 c=1: the second plane of 4x4
  CHECK(device[48] == 1);       // y=0 x=1 c=0
  CHECK(to_torch(norm, device) == counted);
  CHECK(net.graph.info(net.graph.find("head.2.weight")).state.layout == Layout::linear_flatten);
  const Net flat = net_of("compact_resnet", {.size = 16, .head = "flatten"});
  CHECK(flat.graph.info(flat.graph.find("head.classes.weight")).state.layout == Layout::linear_flatten);
}

TEST_CASE("patterns match names and the layers above them", "[freeze]") {
  CHECK(matches_layer("layer1", "layer1.0.conv1.weight"));
  CHECK(!matches_layer("layer1", "layer10.0.conv1.weight"));
  CHECK(matches_layer("layer?.0", "layer1.0.conv1.weight"));
  CHECK(matches_layer("*.bias", "layer1.0.conv1.bias"));
  CHECK(!matches_layer("*.bias", "layer1.0.conv1.weight"));
  CHECK(matches_layer("*bn*", "layer1.0.bn1.weight"));
  CHECK(matches_layer("features.*.conv.0", "features.3.conv.0.1.weight"));
  CHECK(matches_layer("*", "x"));
  CHECK(!matches_layer("", "x"));
  CHECK(!matches_layer("x.y", "x"));
  CHECK(!matches_layer(std::string(150, '*') + "b", std::string(200, 'a')));  // in no time
}

TEST_CASE("freezing by blocks, backbone and names", "[freeze]") {
  const std::set<std::string> all = trainable_names(net_of("resnet18", {}).graph);
  CHECK(trainable_names(net_of("resnet18", {.freeze = "none"}).graph) == all);
  CHECK(trainable_names(net_of("resnet18", {.freeze = "backbone"}).graph) == std::set<std::string>{"fc.weight", "fc.bias"});
  CHECK(net_of("resnet18", {}).built.blocks == 5);
  CHECK(net_of("vgg16", {.head = "gap"}).built.blocks == 5);
  CHECK(net_of("efficientnet_b0", {}).built.blocks == 9);
  for (const ModelInfo* model : all_models()) CHECK(summarise(*model, {.head = "gap"}).blocks >= 2);

  auto of = [&](const char* freeze) { return trainable_names(net_of("resnet18", {.freeze = freeze}).graph); };
  for (const std::string& name : of("blocks:3")) CHECK((name.starts_with("layer3.") || name.starts_with("layer4.") || name.starts_with("fc.")));
  CHECK(of("blocks:3") == of("conv1,bn1,layer1,layer2"));
  CHECK(of("blocks:5") == of("backbone"));
  CHECK(of("blocks:0") == all);
  CHECK(of("*.bias").count("fc.bias") == 0);
  CHECK(of("layer4.*.bn2").size() + 4 == all.size());

  // Frozen norms take their running statistics, the others their batch's.
  const Net half = net_of("resnet18", {.freeze = "blocks:3", .training = true, .batch = 2});
  for (const Node& n : half.graph.nodes()) {
    const bool late = n.label.starts_with("layer3") || n.label.starts_with("layer4");
    if (n.op == &ops::batch_norm) CHECK(late);
    if (n.op == &ops::batch_norm_eval) CHECK(!late);
  }
  CHECK(half.graph.updates().size() == 2 * 10);
  // A head's own norm trains with the head.
  const Net head = net_of("resnet18", {.head = "r4a", .freeze = "backbone", .training = true, .batch = 2});
  CHECK(head.graph.updates().size() == 2 * 4);
}

TEST_CASE("freezing what is not there is refused", "[freeze]") {
  auto of = [&](const std::string& freeze) { return net_of("resnet18", {.freeze = freeze}); };
  CHECK_THROWS_WITH(of("blocks:6"), contains("got blocks:6, but resnet18 has 5 blocks"));
  CHECK_THROWS_WITH(of("layer5"), contains("no layer of that name"));
  CHECK_THROWS_WITH(of("layer1.0.con1"), contains("did you mean layer1.0.conv1?"));
  CHECK_THROWS_WITH(of("*"), contains("leaves nothing of resnet18 to train"));
  for (const char* bad : {"blocks:", "blocks:x", "blocks:-1", "blocks:1.5", "blocks:99999999999", ",", "layer1,", "layer 1", "a\nb"}) {
    INFO(bad);
    CHECK_THROWS_AS(of(bad), Error);
  }
  CHECK_THROWS_WITH(of(std::string(1 << 20, 'a')), contains("--freeze"));
}

TEST_CASE("frozen layers have no gradient nodes", "[freeze][graph]") {
  auto graph_of = [](const char* model, const char* freeze) { return training_graph(settings_of(model, freeze), find_optimizer("sgd"), {}).graph; };
  const Graph backbone = graph_of("vgg16", "backbone"), last = graph_of("vgg16", "blocks:4");
  CHECK(gradient_nodes(backbone, "features.") == 0);
  CHECK(gradient_nodes(last, "features.23") == 0);  // the pool before block 5
  CHECK(gradient_nodes(last, "features.24") > 0);
  CHECK(gradient_nodes(last, "features.24/grad_input") == 0);
  const Graph efficient = graph_of("efficientnet_b0", "blocks:6");
  for (const Node& n : efficient.nodes())
    if (n.label.find("/grad") != std::string::npos && n.label.starts_with("features.")) CHECK(n.label[9] >= '6');
}

TEST_CASE("a network with valence and arousal is differentiated through all its outputs", "[heads][graph]") {
  NetworkSettings n = settings_of("compact_mobilenetv2", "");
  n.head = "r0";
  n.valence_arousal = true;
  const StepGraph s = training_graph(n, find_optimizer("adam"), {});
  std::set<std::string> with_gradient;
  for (const auto& [name, value] : s.gradients) with_gradient.insert(name);
  CHECK(with_gradient == trainable_names(s.graph));
  CHECK(s.graph.find("valence"));
  n.classes = 0;
  const StepGraph affect = training_graph(n, find_optimizer("adam"), {});
  CHECK(!affect.logits);
  CHECK(evaluation_graph(n).arousal.prediction);
}
