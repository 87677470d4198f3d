// Less memory, the same training: activations computed again change no bit, micro-batches add up to the batch.
#include <cmath>
#include <filesystem>
#include <fstream>

#include "models/init.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tools/train/memory_budget.h"
#include "tools/train/settings.h"
#include "tools/train/stepper.h"

using namespace vkfer;
using vkfer::test::test_device;

namespace {

NetworkSettings network(const char* model, int size, int batch) {
  NetworkSettings n;
  n.model = &find_model(model);
  n.size = size;
  n.batch = batch;
  n.preprocessing = n.model->preprocessing;
  n.dropout = 0.3;
  return n;
}

using Bytes = std::map<std::string, std::vector<std::byte>>;

struct Trained {
  Bytes states;  // but sums of gradients
  std::vector<double> losses;
  std::map<std::string, std::vector<float>> parameters, before;
  friend bool operator==(const Trained& a, const Trained& b) { return a.states == b.states && a.losses == b.losses; }
};

Trained train(const StepPlan& planned, int steps, const std::vector<int32_t>& labels, const OptimizerDef& optimizer, double lr) {
  StepPlan plan = planned;
  const NetworkSettings n = plan.network;
  const size_t batch = labels.size();
  States states(test_device());
  Stepper stepper(test_device(), states, std::move(plan));
  initialise(stepper.graph(), states, 3);
  std::vector<uint8_t> pixels;
  for (const float x : fixture::tensor("pixels", int64_t(batch) * n.size * n.size * n.pixel_channels)) pixels.push_back(uint8_t(128 + 40 * x));
  const std::vector<int32_t> augment(batch * 4, 0);
  Trained t;
  const auto parameters = [&](auto& to) {
    for (const Value v : stepper.graph().states())
      if (stepper.graph().info(v).state.trainable) to[stepper.graph().info(v).name] = states.read(stepper.graph().info(v).name);
  };
  parameters(t.before);
  for (int i = 0; i < steps; ++i) {
    stepper.submit({pixels, augment, labels, optimizer.hyper({}, lr, i + 1), 11, i});
    if (i) t.losses.push_back(stepper.finish());
  }
  t.losses.push_back(stepper.finish());
  parameters(t.parameters);
  for (const std::string& name : states.names())
    if (!name.starts_with(kGradientSum)) t.states[name] = states.read_bytes(name);
  return t;
}

Trained train(const NetworkSettings& n, int pieces, int steps, const std::vector<int32_t>& labels, const char* optimizer = "sgd", double lr = 0.05) {
  const OptimizerDef& def = find_optimizer(optimizer);
  return train(plan_step(n, pieces, def, {}, target_for(test_device().info())), steps, labels, def, lr);
}

// ||change - expected change|| / ||expected change||, of all parameters together.
double difference(const Trained& got, const Trained& expected) {
  double wrong = 0, size = 0;
  for (const auto& [name, values] : expected.parameters)
    for (size_t i = 0; i < values.size(); ++i) {
      const double change = double(values[i]) - expected.before.at(name)[i];
      wrong += std::pow(double(got.parameters.at(name)[i]) - values[i], 2), size += change * change;
    }
  REQUIRE(size > 0);
  return std::sqrt(wrong / size);
}

const std::vector<int32_t> kLabels{0, 6, 3, 2, 5, 5, 1, 4};

}  // namespace

TEST_CASE("recompute: activations computed again change no bit", "[memory][device]") {
  struct Row {
    const char* model;
    int size;
  };
  // The last has no batch norm: its relu and dropout are computed again.
  for (const Row& row : {Row{"compact_resnet", 24}, Row{"mobilenetv2", 32}, Row{"efficientnet_b0", 32}, Row{"vgg16", 32}})
    for (const DType storage : {DType::f32, DType::f16}) {
      if (storage == DType::f16 && (!test_device().info().storage_16bit || std::string(row.model) == "vgg16")) continue;
      INFO(row.model << " " << dtype_name(storage));
      NetworkSettings n = network(row.model, row.size, 4);
      n.storage = storage;
      NetworkSettings again = n;
      again.recompute = true;
      const std::vector<int32_t> labels{0, 6, 3, 2};
      CHECK(train(again, 1, 2, labels) == train(n, 1, 2, labels));
    }
}

TEST_CASE("recompute: what activations take shrinks", "[memory]") {
  struct Row {
    const char* model;
    double share;  // that stays, at most
  };
  // Half of VGG's are the gradients of its large linear layers.
  for (const Row& row : {Row{"compact_resnet", 0.75}, Row{"mobilenetv2", 0.65}, Row{"efficientnet_b0", 0.75}, Row{"vgg16", 0.87}}) {
    NetworkSettings n = network(row.model, 96, 16);
    const auto arena = [&] { return double(plan_step(n, 1, find_optimizer("sgd"), {}, Target()).activation_bytes()); };
    const double kept = arena();
    n.recompute = true;
    INFO(row.model << ": " << arena() / kept);
    CHECK(arena() <= row.share * kept);
  }
}

TEST_CASE("recompute: what the backward pass does not read, or could not be had again, stays", "[memory]") {
  const auto computed_again = [](NetworkSettings n) {
    n.recompute = true;
    std::vector<std::string> labels;
    for (const Node& node : training_graph(n, find_optimizer("sgd"), {}).graph.nodes())
      if (node.label.find("/again") != std::string::npos) labels.push_back(node.label);
    return labels;
  };
  NetworkSettings n = network("compact_resnet", 24, 4);
  CHECK(computed_again(n).size() >= 5);
  n.freeze = "backbone";  // the head trains: nothing reads the backbone's activations again
  for (const std::string& label : computed_again(n)) CHECK(label.find("conv") == std::string::npos);
}

TEST_CASE("micro-batches: where no layer looks at the whole batch, they are the batch", "[memory][device]") {
  for (const char* model : {"compact_resnet", "efficientnet_b0"}) {  // dropout; stochastic depth as well
    NetworkSettings n = network(model, 32, 8);
    n.frozen_batch_norm = true;
    std::vector<int32_t> labels = kLabels;
    labels[1] = labels[2] = labels[7] = -1;  // pieces that weigh differently
    const Trained whole = train(n, 1, 1, labels);
    for (const int pieces : {2, 4, 8}) {
      INFO(model << " in " << pieces << " pieces");
      const Trained cut = train(n, pieces, 1, labels);
      CHECK(difference(cut, whole) < 1e-5);
      CHECK(cut.losses[0] == Approx(whole.losses[0]).epsilon(1e-6));
      CHECK(cut.states.at(kTrainSums).size() == whole.states.at(kTrainSums).size());
      CHECK(train(n, pieces, 3, labels, "adamw", 1e-3) == train(n, pieces, 3, labels, "adamw", 1e-3));
    }
    // The comparison sees one label more or less.
    CHECK(difference(train(n, 2, 1, kLabels), whole) > 1e-2);
  }
}

TEST_CASE("micro-batches: in fp16 the pieces' overflow skips the whole step", "[memory][device]") {
  if (!test_device().info().storage_16bit) return;
  NetworkSettings n = network("compact_mobilenetv2", 24, 4);
  n.storage = DType::f16;
  const OptimizerDef& sgd = find_optimizer("sgd");
  States states(test_device());
  Stepper stepper(test_device(), states, plan_step(n, 2, sgd, {}, target_for(test_device().info())));
  initialise(stepper.graph(), states, 3);
  states.write(kLossScale, std::vector<float>{3e38f});
  std::map<std::string, std::vector<float>> before;
  for (const auto& [name, value] : stepper.plan().step.gradients) before[name] = states.read(name);
  const std::vector<uint8_t> pixels(size_t(4 * 24 * 24 * n.pixel_channels), 90);
  const std::vector<int32_t> augment(16, 0), labels{0, 1, 2, 3};
  stepper.run({pixels, augment, labels, sgd.hyper({}, 0.1, 1), 1, 0});
  CHECK(states.read(kLossScaleCounts)[1] == 1);
  CHECK(states.read(kLossScale)[0] == 1.5e38f);
  for (const auto& [name, values] : before) CHECK(states.read(name) == values);
  // Sums that are infinite are forgotten: the next step begins anew.
  states.write(kLossScale, std::vector<float>{1024});
  stepper.run({pixels, augment, labels, sgd.hyper({}, 0.1, 1), 1, 1});
  CHECK(states.read(kLossScaleCounts)[1] == 1);
  size_t changed = 0;
  for (const auto& [name, values] : before) changed += states.read(name) != values;
  CHECK(changed > before.size() / 2);
}

TEST_CASE("memory budget: the least extra work that keeps to it", "[memory]") {
  const Target target;
  const OptimizerDef& sgd = find_optimizer("sgd");
  const auto within = [&](size_t budget, const NetworkSettings& n, int pieces = 0) { return plan_step_within(budget, n, pieces, sgd, {}, target); };
  const auto bytes = [&](NetworkSettings n, bool recompute, int pieces) {
    n.recompute = recompute;
    return training_bytes(plan_step(n, pieces, sgd, {}, target), target);
  };
  NetworkSettings n = network("compact_resnet", 48, 12);
  const size_t plain = bytes(n, false, 1), again = bytes(n, true, 1);
  CHECK(again < plain);
  CHECK_FALSE(within(plain, n).network.recompute);
  CHECK(within(plain - 1, n).network.recompute);
  CHECK(within(again, n).pieces == 1);
  // Batch norm looks at the whole batch: cut only on request.
  CHECK_THROWS_WITH(within(again - 1, n), contains("--memory-budget") && contains("MiB") && contains("--micro-batch") && contains("batch norm"));
  CHECK(within(again - 1, n, 3).network.batch == 4);
  CHECK_THROWS_WITH(within(1000, n, 3), contains("--memory-budget") && contains("--batch"));
  CHECK_THROWS_WITH(plan_step(n, 5, sgd, {}, target), contains("--micro-batch"));

  n.frozen_batch_norm = true;
  const StepPlan cut = within(bytes(n, true, 3), n);
  CHECK(cut.pieces == 3);
  CHECK(cut.network.batch == 4);
  CHECK(cut.network.recompute);
  CHECK(training_bytes(cut, target) <= bytes(n, true, 3));
}

TEST_CASE("memory budget: sizes as people write them", "[memory]") {
  CHECK(parse_bytes("512M") == size_t(512) << 20);
  CHECK(parse_bytes("2g") == size_t(2) << 30);
  CHECK(parse_bytes("1.5GiB") == size_t(3) << 29);
  CHECK(parse_bytes("64kb") == 65536);
  CHECK(parse_bytes("800000000") == 800000000);
  for (const char* wrong : {"", "G", "2X", "-1G", "0", "nan", "inf", "1e30G", "2 apples", "2GG"}) {
    INFO(wrong);
    CHECK_THROWS_WITH(parse_bytes(wrong), contains("--memory-budget"));
  }
}
