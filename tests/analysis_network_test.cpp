// Grad-CAM and penultimate features: against PyTorch's hooks, for every model, and for networks from ONNX files.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "graph/ops/ops.h"
#include "models/init.h"
#include "models/onnx/export.h"
#include "models/onnx/model.h"
#include "models/weights/transfer.h"
#include "tests/catch.h"
#include "tests/fixture.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_nets.h"
#include "tests/small_runs.h"
#include "tools/analysis/anatomy.h"
#include "tools/analysis/features.h"
#include "tools/analysis/grad_cam.h"
#include "tools/analysis/network_graph.h"

using namespace vkfer;
using namespace vkfer::test;
using nlohmann::json;
using Output = CamTarget::Output;

namespace {

NetworkSettings settings_of(const ModelInfo& model, int size, int batch, int pixel_channels = 0) {
  NetworkSettings n;
  n.model = &model;
  n.size = size;
  n.batch = batch;
  n.pixel_channels = pixel_channels;
  n.preprocessing = model.preprocessing;
  return n;
}

// [n,3,s,s] of the generator as [n,s,s,3].
std::vector<float> nhwc(const std::vector<float>& x, int n, int size) {
  std::vector<float> images(x.size());
  const size_t pixels = size_t(size) * size_t(size);
  for (size_t i = 0; i < size_t(n); ++i)
    for (size_t p = 0; p < pixels; ++p)
      for (size_t c = 0; c < 3; ++c) images[(i * pixels + p) * 3 + c] = x[(i * 3 + c) * pixels + p];
  return images;
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(double(a[i]) - double(b[i]));
    most = d <= most ? most : d;   // a NaN stays
  }
  return most;
}

WeightFile initial_weights(const NetworkGraph& net) {
  WeightFile weights;
  weights.source = "initial";
  for (const Value v : net.graph.states()) {
    const ValueInfo& info = net.graph.info(v);
    weights.set(info.name, torch_shape(info), to_torch(info, initial_value(info.name, info, 3)));
  }
  return weights;
}

}  // namespace

TEST_CASE("Grad-CAM and features equal PyTorch's hooks", "[analysis][grad_cam][device]") {
  const std::string name = GENERATE("compact_resnet_48", "compact_mobilenetv2_48", "mobilenetv2_48", "mobilenetv2_64", "resnet18_64", "resnet50_64", "efficientnet_b0_64", "vgg16_32",
                                    "vgg19_bn_32");
  INFO(name);
  const json cams = fixture::load("grad_cam.json"), recorded = cams.at(name), network = fixture::load(name + ".json");
  const ModelInfo& model = find_model(network.at("model").get<std::string>());
  NetworkSettings n = settings_of(model, network.at("size"), 2);   // three pictures: a whole batch, and one with padding
  n.head = network.value("head", "");
  std::vector<CamTarget> targets;
  for (const json& t : cams.at("targets")) targets.push_back({.label = t.at(0), .against = t.at(1) == -1});
  const int count = int(targets.size());
  const std::vector<float> images = nhwc(fixture::tensor(model.name + ".x", int64_t(count) * 3 * n.size * n.size, 0.75), count, n.size);
  const WeightFile weights = fixture::generated_weights(model, n.head, n.size, n.classes, network.at("calibration"));

  States states(test_device());
  GradCam cam(test_device(), states, n, target_for(test_device().info()));
  load_weights(weights, cam.graph(), states, {.classifier = n.classifier()});
  const CamMaps got = cam.maps(std::span<const float>(images), targets);
  CHECK((got.height == recorded.at("height") && got.width == recorded.at("width") && got.size == n.size));
  CHECK(got.labels == recorded.at("labels").get<std::vector<int>>());
  CHECK(largest_difference(got.coarse, recorded.at("coarse").get<std::vector<float>>()) < 1e-3);
  const std::vector<float> peaks = recorded.at("peaks").get<std::vector<float>>();
  REQUIRE(got.peaks.size() == peaks.size());
  for (size_t i = 0; i < peaks.size(); ++i) CHECK(std::abs(got.peaks[i] - peaks[i]) <= 1e-3 * peaks[i]);
  const auto maps = fixture::measure(recorded.at("maps"), "maps", std::span<const float>(got.maps));
  INFO(maps.text);
  CHECK(maps.error < 1e-3);
  CHECK(new_validation_messages() == "");
}

TEST_CASE("features are what PyTorch's last linear layer takes", "[analysis][features][device]") {
  const std::string name = GENERATE("compact_resnet_48", "mobilenetv2_48", "resnet18_64", "efficientnet_b0_64", "vgg16_32");
  INFO(name);
  const json recorded = fixture::load("grad_cam.json").at(name), network = fixture::load(name + ".json");
  NetworkSettings n = settings_of(find_model(network.at("model").get<std::string>()), network.at("size"), 3);
  n.head = network.value("head", "");
  NetworkGraph net = network_graph(n);
  const Value features = last_features(net.graph, net.built.logits);
  net.graph.output(features);
  CHECK(net.graph.shape(features) == Shape{3, recorded.at("columns").get<int64_t>()});
  const WeightFile weights = fixture::generated_weights(*n.model, n.head, n.size, n.classes, network.at("calibration"));
  States states(test_device());
  Plan plan = make_plan(net.graph, target_for(test_device().info()));
  Executor executor(test_device(), net.graph, plan, states);
  load_weights(weights, executor.graph(), states, {.classifier = n.classifier()});
  executor.write(net.built.images, nhwc(fixture::tensor(n.model->name + ".x", int64_t(3) * 3 * n.size * n.size, 0.75), 3, n.size));
  executor.run();
  const auto m = fixture::measure(recorded.at("features"), "features", std::span<const float>(executor.read(features)));
  INFO(m.text);
  CHECK(m.error < 1e-4);
}

TEST_CASE("every model has a map to look at and features, under every head", "[analysis][grad_cam]") {
  for (const ModelInfo* model : all_models())
    for (const char* head : {"", "gap,dense16,dropout0.5", "flatten,dense8/dense4"}) {
      const int size = std::max(64, model->smallest_size);
      INFO(model->name << " " << head);
      NetworkSettings n = settings_of(*model, size, 1);
      n.head = head;
      n.valence_arousal = true;
      const NetworkGraph net = network_graph(n);
      const Graph& g = net.graph;
      Value first;
      for (const Value output : {net.built.logits, net.built.valence, net.built.arousal}) {
        const Value map = last_feature_map(g, net.built.images, output), features = last_features(g, output);
        CHECK(g.shape(map).h() >= 2);
        CHECK(g.shape(map).h() == g.shape(map).w());
        CHECK(g.shape(features).rank() == 2);
        CHECK(map == (first ? first : map));   // all outputs share the backbone
        first = map;
      }
      const Node& last = g.nodes()[size_t(g.info(net.built.logits).producer)];
      CHECK(last_features(g, net.built.logits) == last.in[0]);
    }
}

TEST_CASE("a map belongs to the last convolution, and everything passes through it", "[analysis][grad_cam]") {
  SmallNet net = small_net({.training = false});
  const Value map = last_feature_map(net.graph, net.images, net.logits);
  CHECK(net.graph.info(map).name == "down.act");
  CHECK(net.graph.info(last_features(net.graph, net.logits)).name == "pool");
  // Of a value within a block, with a shortcut around it, everything does not pass.
  const Value block = net.graph.find("block.norm2");
  const Value inner = last_feature_map(net.graph, net.images, net.graph.find("block.add"));
  CHECK(inner != block);
  CHECK(net.graph.info(inner).name == "block.add");

  Graph flat;   // no convolution at all
  const Value x = flat.input("x", {{1, 4}, DType::f32});
  const Value y = flat.add1(ops::linear, {}, {x, flat.state("w", {{4, 2}, DType::f32}, {.layout = Layout::linear})}, "y");
  CHECK_THROWS_WITH(last_feature_map(flat, x, y), contains("[grad-cam] 'y': no convolution"));
  CHECK_THROWS_WITH(last_features(flat, flat.add1(ops::relu, {}, {x}, "z")), contains("[features] 'z': no linear layer"));
}

TEST_CASE("Grad-CAM of valence is that of a class with the same weights, and answers what was asked", "[analysis][grad_cam][device]") {
  NetworkSettings n = settings_of(find_model("compact_resnet"), 16, 3, 1);
  n.valence_arousal = true;
  WeightFile weights = initial_weights(network_graph(n));
  const std::vector<float> rows = weights.at("fc2.weight").floats();
  weights.set("head.valence.weight", {1, 64}, {rows.begin() + 2 * 64, rows.begin() + 3 * 64});
  std::vector<float> arousal(rows.begin() + 4 * 64, rows.begin() + 5 * 64);
  for (float& a : arousal) a = -a;
  weights.set("head.arousal.weight", {1, 64}, arousal);

  States states(test_device());
  GradCam cam(test_device(), states, n, target_for(test_device().info()));
  load_weights(weights, cam.graph(), states, {.classifier = n.classifier()});
  constexpr size_t kPictures = 4;
  std::vector<uint8_t> pixels(kPictures * 16 * 16);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(fixture::word(5, i));
  const auto maps = [&](std::vector<CamTarget> t) { return cam.maps(std::span<const uint8_t>(pixels), t); };
  const CamMaps by_class = maps({{.label = 2}}), valence = maps({{.output = Output::valence}});
  CHECK(by_class.maps.size() == kPictures * 16 * 16);
  CHECK(by_class.coarse.size() == kPictures * size_t(by_class.height * by_class.width));
  CHECK(largest_difference(by_class.maps, valence.maps) < 1e-5);
  CHECK(largest_difference(maps({{.label = 4}}).maps, maps({{.output = Output::arousal, .against = true}}).maps) < 1e-5);
  CHECK(largest_difference(by_class.maps, maps({{.label = 4}}).maps) > 0.1);
  // One target each, and the answered class by name.
  const CamMaps answered = maps({{}}), mixed = maps({{.label = 2}, {}, {.output = Output::valence}, {.label = answered.labels[3]}});
  CHECK(mixed.labels == std::vector<int>{2, answered.labels[1], answered.labels[2], answered.labels[3]});
  const auto picture = [](const CamMaps& m, size_t i) { return std::span(m.maps).subspan(i * 256, 256); };
  CHECK(largest_difference(picture(mixed, 0), picture(by_class, 0)) == 0);
  CHECK(largest_difference(picture(mixed, 1), picture(answered, 1)) == 0);
  CHECK(largest_difference(picture(mixed, 2), picture(valence, 2)) == 0);
  CHECK(largest_difference(picture(mixed, 3), picture(answered, 3)) == 0);
  for (const float v : mixed.maps) CHECK((v >= 0 && v <= 1));
  for (size_t i = 0; i < kPictures; ++i) CHECK((mixed.peaks[i] == 0 || *std::ranges::max_element(std::span(mixed.coarse).subspan(i * mixed.coarse.size() / kPictures, mixed.coarse.size() / kPictures)) == 1));

  CHECK_THROWS_WITH(maps({{.label = 7}}), contains("[grad-cam] label: got 7, expected -1 to 6"));
  CHECK_THROWS_WITH(maps({{}, {}}), contains("got 2 for 4 pictures"));
  CHECK_THROWS_WITH(cam.maps(std::span<const uint8_t>(pixels).first(100), std::vector<CamTarget>(1)), contains("[grad-cam] pictures: got 100 numbers, expected 256"));
  CHECK_THROWS_WITH(cam.maps(std::span<const float>(std::vector<float>(256)), std::vector<CamTarget>(1)), contains("[grad-cam] pictures"));
  n.valence_arousal = false;
  GradCam classes(test_device(), states, n, target_for(test_device().info()));
  CHECK_THROWS_WITH(classes.maps(std::span<const uint8_t>(pixels), std::vector<CamTarget>{{.output = Output::arousal}}), contains("output: got arousal"));
  CHECK(classes.maps(std::span<const uint8_t>(), std::vector<CamTarget>(1)).maps.empty());
}

TEST_CASE("a network from an ONNX file has the same maps and features as ours", "[analysis][grad_cam][onnx][device]") {
  const Scratch scratch;
  const bool folded = GENERATE(false, true);
  for (const char* name : {"compact_mobilenetv2", "resnet18", "efficientnet_b0", "vgg16"}) {
    INFO(name << " folded=" << folded);
    NetworkSettings ours = settings_of(find_model(name), 64, 2);
    if (std::string_view(name) == "vgg16") ours.head = "gap";   // its own has 120 million weights
    NetworkSettings one = ours;
    one.batch = 1;
    Graph g = inference_graph(one);
    const WeightFile weights = initial_weights(network_graph(ours));
    std::map<std::string, std::vector<float>> values;
    for (const auto& [state, tensor] : weights.tensors) values[state] = tensor.floats();
    const std::string path = (scratch.path / (std::string(name) + ".onnx")).string();
    std::ofstream(path, std::ios::binary) << onnx_bytes(export_onnx(g, values, {.fold_batch_norm = folded}));
    NetworkSettings theirs = settings_of(find_model(path), 64, 2);
    theirs.channels = 3;

    const std::vector<float> images = nhwc(fixture::tensor("onnx.x", 2 * 3 * 64 * 64, 0.75), 2, 64);
    std::vector<CamMaps> maps;
    for (const NetworkSettings& n : {ours, theirs}) {
      States states(test_device());
      GradCam cam(test_device(), states, n, target_for(test_device().info()));
      load_weights(n.model == ours.model ? weights : n.model->weights(), cam.graph(), states, {.classifier = n.classifier()});
      maps.push_back(cam.maps(std::span<const float>(images), std::vector<CamTarget>{{.label = 3}}));
      const NetworkGraph net = network_graph(n);
      CHECK(net.graph.shape(last_features(net.graph, net.built.logits)) == net.graph.shape(net.graph.nodes()[size_t(net.graph.info(net.built.logits).producer)].in[0]));
    }
    CHECK((maps[0].height == maps[1].height && maps[0].width == maps[1].width && maps[0].height > 1));
    CHECK(largest_difference(maps[0].coarse, maps[1].coarse) < 1e-3);
  }
}

TEST_CASE("features of a whole cache are those of its pictures, whatever the batch", "[analysis][features][device]") {
  const Dataset data = faces(7, 19);
  const DecodedCache cache(data, data.split("val"), {.size = 16, .channels = 1});
  REQUIRE(cache.size() == 19);
  const ModelInfo& model = find_model("compact_resnet");
  NetworkSettings n = settings_of(model, 16, 8, 1);
  const WeightFile weights = initial_weights(network_graph(n));
  std::vector<PictureRows> results;
  for (const int batch : {8, 5}) {
    n.batch = batch;
    States states(test_device());
    PenultimateFeatures features(test_device(), states, n, target_for(test_device().info()));
    load_weights(weights, features.graph(), states, {.classifier = n.classifier()});
    size_t last = 0;
    results.push_back(features.rows(cache, [&](size_t done, size_t total) {
      CHECK((done > last && total == 19));
      last = done;
    }));
    CHECK(last == 19);
    CHECK((features.columns() == 64 && results.back().values.rows == 19 && results.back().values.columns == 64));
  }
  CHECK(largest_difference(results[0].values.values, results[1].values.values) < 1e-5);
  for (size_t i = 0; i < 19; ++i) CHECK(results[0].positions[i] == i);
  CHECK(largest_difference(results[0].values.row(0), results[0].values.row(18)) > 1e-3);

  const PictureRows pixels = pixel_rows(cache);
  CHECK((pixels.values.rows == 19 && pixels.values.columns == 256));
  CHECK(pixels.values.row(7)[100] == float(cache.pixels(7)[100]) / 255);

  const DecodedCache other(data, data.split("val"), {.size = 16, .channels = 3});
  States states(test_device());
  PenultimateFeatures features(test_device(), states, n, target_for(test_device().info()));
  CHECK_THROWS_WITH(features.rows(other), contains("[features] pictures: got 16x16 with 3 channels, expected 16x16 with 1"));
  n.pixel_channels = 0;
  CHECK_THROWS_WITH(PenultimateFeatures(test_device(), states, n, target_for(test_device().info())), contains("[features] pixel_channels"));
}
