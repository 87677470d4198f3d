// Whole networks against PyTorch: the trainer's trace beside what tests/fixtures/record.py recorded.
// The yardstick is PyTorch in double; what rounding alone does is what several PyTorch-float variants did.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "models/registry.h"
#include "tests/catch.h"
#include "tests/fixture.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tools/train/trace.h"

using namespace vkfer;
using nlohmann::json;

namespace {

constexpr double kTimesWorst = 3;     // our error may be so many times PyTorch's worst
constexpr double kFloor = 2e-6;       // what one rounding of every entry may come to

struct Network {
  const ModelInfo& model;
  std::string head;
  int size, classes, batch;
};

Network network_of(const json& fixture) {
  return {find_model(fixture.at("model").get<std::string>()), fixture.value("head", ""), fixture.at("size"), fixture.at("classes"), fixture.at("batch")};
}

TraceOptions options_for(const json& fixture, const json& settings, const std::string& optimizer) {
  const Network net = network_of(fixture);
  TraceOptions o;
  o.model = net.model.name;
  o.head = net.head;
  o.size = net.size;
  o.classes = net.classes;
  o.batch = net.batch;
  o.x = fixture::tensor(o.model + ".x", int64_t(net.batch) * 3 * net.size * net.size, 0.75);
  o.labels = fixture::labels(o.model + ".labels", net.batch, net.classes);
  o.optimizer = optimizer;
  o.lr = settings.at("lr");
  o.momentum = settings.at("momentum");
  o.weight_decay = settings.at("weight_decay");
  o.weights = fixture::generated_weights(net.model, net.head, net.size, net.classes, fixture.at("calibration"));
  return o;
}

// Every recorded quantity, and nothing in the trace beyond them.
template <class Limit>
void check_quantities(const json& recorded, const WeightFile& trace, Limit limit) {
  for (const auto& [name, quantity] : recorded.items()) {
    const auto m = fixture::measure(quantity, name, std::span<const float>(trace.at(name).floats()));
    INFO(m.text);
    CHECK(m.error <= limit(name, m));
  }
}

// Running statistics of one kind share the worst of all layers: after many steps their errors are few, common shifts, so that
// seven runs of PyTorch may miss a layer's by chance.
std::string kind_of(const std::string& name) {
  return name.starts_with("buffer.") ? name.substr(name.rfind('.')) : name;
}

json with_shared_worst(json end) {
  std::map<std::string, double> worst;
  for (const auto& [name, quantity] : end.items())
    worst[kind_of(name)] = std::max(worst[kind_of(name)], quantity.at("worst").get<double>());
  for (auto& [name, quantity] : end.items()) quantity["worst"] = worst[kind_of(name)];
  return end;
}

double times_worst(const std::string&, const fixture::Measured& m) { return std::max(kTimesWorst * m.worst, kFloor); }

void check_losses(const json& run, const WeightFile& trace) {
  const auto expected = run.at("loss").get<std::vector<double>>(), worst = run.at("loss_worst").get<std::vector<double>>();
  const auto loss = trace.at("loss").doubles();
  REQUIRE(loss.size() == expected.size());
  for (size_t i = 0; i < loss.size(); ++i) {
    const double error = std::abs(loss[i] - expected[i]) / std::abs(expected[i]);
    INFO("loss of step " << i << ": got " << loss[i] << ", expected " << expected[i] << ", error " << error << ", PyTorch's worst " << worst[i]);
    CHECK(error <= std::max(kTimesWorst * worst[i], kFloor));
    if (i < 2) CHECK(error <= 1e-3);
  }
}

// A bias right before a batch norm has no gradient but rounding, which Adam turns into steps of full length.
std::vector<std::string> without_gradient(const json& start) {
  std::vector<std::string> names;
  for (const auto& [name, quantity] : start.items())
    if (name.starts_with("grad.") && quantity.contains("scale")) names.push_back(name.substr(5));
  return names;
}

void check_training(const std::string& file, const std::string& optimizer) {
  const json fixture = fixture::load(file);
  const json& run = fixture.at("optimizers").at(optimizer);
  TraceOptions options = options_for(fixture, run.at("settings"), optimizer);
  options.steps = fixture.at("steps");
  const WeightFile trace = run_trace(test::test_device(), options);

  check_losses(run, trace);
  check_quantities(fixture.at("start"), trace, times_worst);
  json end = with_shared_worst(run.at("end"));
  if (optimizer != "sgd")
    for (const auto& name : without_gradient(fixture.at("start"))) end.erase("param." + name);
  check_quantities(end, trace, times_worst);
}

// Running statistics instead of the batch's: nothing amplifies rounding but a ReLU at its kink, so the limits are absolute.
void check_frozen(const std::string& file) {
  const json fixture = fixture::load(file);
  const json& run = fixture.at("frozen");
  TraceOptions options = options_for(fixture, run.at("settings"), "sgd");
  options.frozen_bn = true;
  const WeightFile trace = run_trace(test::test_device(), options);
  check_losses(run, trace);
  check_quantities(run.at("start"), trace, [](const std::string& name, const fixture::Measured& m) {
    return std::max(name.starts_with("grad.") ? 1e-3 : 1e-4, kTimesWorst * m.worst);  // resnet50 has ReLUs at their kink
  });
  for (const auto& [name, tensor] : options.weights->tensors)
    if (name.find(".running_") != std::string::npos) CHECK(trace.at("buffer." + name).floats() == tensor.floats());
}

}  // namespace

TEST_CASE("the fixtures' generator makes the same numbers as Python", "[fixtures]") {
  // python3 -c 'import generator as g; print(g.words("check", 2), g.tensor("check", (3,), 0.3, 1), g.labels("y", 6, 7))'
  CHECK(fixture::word(fixture::name_hash("check"), 0) == 9660316361767097257ull);
  CHECK(fixture::word(fixture::name_hash("check"), 1) == 18244269964548764074ull);
  CHECK(fixture::tensor("check", 3, 0.3, 1) == std::vector<float>{0.909289539f, 1.86479795f, 1.54636836f});
  CHECK(fixture::labels("y", 6, 7) == std::vector<int64_t>{6, 4, 6, 1, 4, 4});
}

TEST_CASE("trace equals PyTorch: mobilenetv2 at 48", "[trace][device]") {
  const std::string optimizer = GENERATE("sgd", "adam");
  DYNAMIC_SECTION(optimizer) { check_training("mobilenetv2_48.json", optimizer); }
}

TEST_CASE("trace equals PyTorch: mobilenetv2 at 64", "[trace][device]") {
  const std::string optimizer = GENERATE("sgd", "adam");
  DYNAMIC_SECTION(optimizer) { check_training("mobilenetv2_64.json", optimizer); }
}

TEST_CASE("trace equals PyTorch: compact_mobilenetv2", "[trace][device]") {
  const std::string optimizer = GENERATE("sgd", "adam");
  DYNAMIC_SECTION(optimizer) { check_training("compact_mobilenetv2_48.json", optimizer); }
}

TEST_CASE("trace equals PyTorch: compact_resnet", "[trace][device]") {
  const std::string optimizer = GENERATE("sgd", "adam", "adamw");
  DYNAMIC_SECTION(optimizer) { check_training("compact_resnet_48.json", optimizer); }
}

TEST_CASE("trace equals PyTorch: resnet18", "[trace][device]") {
  const std::string optimizer = GENERATE("sgd", "adam");
  DYNAMIC_SECTION(optimizer) { check_training("resnet18_64.json", optimizer); }
}

TEST_CASE("trace equals PyTorch: resnet50", "[trace][device]") { check_training("resnet50_64.json", "sgd"); }

TEST_CASE("trace equals PyTorch: efficientnet_b0", "[trace][device]") { check_training("efficientnet_b0_64.json", "sgd"); }

TEST_CASE("trace equals PyTorch: vgg16, vgg19_bn", "[trace][device]") {
  const std::string file = GENERATE("vgg16_32.json", "vgg19_bn_32.json");
  DYNAMIC_SECTION(file) { check_training(file, "sgd"); }
}

TEST_CASE("trace equals PyTorch with frozen, calibrated batch norm", "[trace][device]") {
  const std::string file = GENERATE("mobilenetv2_48", "compact_mobilenetv2_48", "compact_resnet_48", "resnet18_64", "resnet50_64", "efficientnet_b0_64");
  DYNAMIC_SECTION(file) { check_frozen(file + ".json"); }
}

TEST_CASE("trace without weights starts from the seed and says from what", "[trace][device]") {
  TraceOptions o;
  o.model = "compact_mobilenetv2";
  o.size = 16;
  o.batch = 2;
  o.x = fixture::tensor("x", 2 * 3 * 16 * 16);
  o.labels = {0, 6};
  o.lr = 0.01;
  o.seed = 5;
  const WeightFile first = run_trace(test::test_device(), o), again = run_trace(test::test_device(), o);
  for (const auto& [name, tensor] : first.tensors) {
    INFO(name);
    CHECK(tensor.bytes == again.at(name).bytes);
  }
  // The initial values, given as weights, lead to the same place.
  o.weights.emplace();
  for (const auto& [name, tensor] : first.tensors)
    if (name.starts_with("init.")) o.weights->tensors[name.substr(5)] = tensor;
  REQUIRE(o.weights->tensors.size() > 100);
  const WeightFile given = run_trace(test::test_device(), o);
  for (const auto& [name, tensor] : given.tensors) CHECK(tensor.bytes == first.at(name).bytes);
}
