// Many parameters in one launch: the same bits as one by one, wherever the states lay before and however small the ranges are that
// a device binds.
#include "tools/train/optimizers.h"

#include <array>

#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "models/registry.h"
#include "tests/catch.h"
#include "tests/op_data.h"
#include "tests/op_shader.h"
#include "tools/train/settings.h"
#include "tools/train/step_graph.h"

using namespace vkfer;
using vkfer::test::test_device;

namespace {

const std::vector<Shape> kShapes{{3, 3, 3, 32}, {32}, {1}, {1, 1, 32, 16}, {7}, {5000}, {16, 7}};
const OptimizerSettings kSettings{.momentum = 0.9, .nesterov = true, .weight_decay = 0.01};

using Contents = std::map<std::string, std::vector<float>>;

std::vector<float> numbers(const std::string& seed, const TensorDesc& desc) {
  test::Numbers n(seed);
  std::vector<float> values(size_t(desc.elements()));
  for (float& x : values) x = float(n.uniform(-1, 1));
  return values;
}

// Three steps; parameters in groups of the given sizes. Returns every state.
Contents train(const OptimizerDef& optimizer, const std::vector<size_t>& group_sizes, const Target& target, States& states) {
  Graph g;
  std::vector<TrainedParameter> all;
  for (size_t i = 0; i < kShapes.size(); ++i) {
    const std::string name = "p" + std::to_string(i);
    all.push_back({g.state(name, {kShapes[i]}, {.trainable = true}), g.input("grad " + name, {kShapes[i]}), i % 3 ? 1.0 : 0.5, i % 2 ? 1.0 : 0.0});
  }
  const Value hyper = g.input("hyper", {{8}});
  size_t first = 0;
  for (const size_t size : group_sizes) {
    add_optimizer(g, optimizer, kSettings, std::span(all).subspan(first, size), hyper);
    first += size;
  }
  REQUIRE(first == all.size());
  Executor executor(test_device(), g, make_plan(g, target), states);
  for (const TrainedParameter& t : all) {
    states.write(g.info(t.parameter).name, numbers(g.info(t.parameter).name, g.desc(t.parameter)));
    for (const std::string_view suffix : optimizer.states)
      states.write("optimizer." + g.info(t.parameter).name + "." + std::string(suffix), std::vector<float>(size_t(g.desc(t.parameter).elements())));
  }
  for (int step = 1; step <= 3; ++step) {
    for (const TrainedParameter& t : all) executor.write(t.gradient, numbers(std::to_string(step) + g.info(t.gradient).name, g.desc(t.gradient)));
    executor.write(hyper, std::span<const float>(optimizer.hyper(kSettings, 0.05, step)));
    executor.run();
  }
  Contents contents;
  for (const std::string& name : states.names()) contents[name] = states.read(name);
  return contents;
}

Contents train(const OptimizerDef& optimizer, const std::vector<size_t>& group_sizes, const Target& target) {
  States states(test_device());
  return train(optimizer, group_sizes, target, states);
}

}  // namespace

TEST_CASE("optimizers: many parameters at once have the bits of one at a time", "[optimizer][device]") {
  const Target own = target_for(test_device().info());
  for (const OptimizerDef& optimizer : optimizers())
    DYNAMIC_SECTION(optimizer.name) {
      const Contents one_by_one = train(optimizer, {1, 1, 1, 1, 1, 1, 1}, own);
      CHECK(one_by_one.size() == kShapes.size() * (1 + optimizer.states.size()));
      CHECK(one_by_one.at("p5") != numbers("p5", {kShapes[5]}));
      CHECK(train(optimizer, {7}, own) == one_by_one);
      CHECK(train(optimizer, {2, 1, 4}, own) == one_by_one);
      Target narrow = own;  // the pack, and its largest tensor, in slices
      narrow.max_storage_range = 4 * std::max<size_t>(own.storage_alignment, 16);
      CHECK(train(optimizer, {7}, narrow) == one_by_one);
    }
  CHECK(test::new_validation_messages() == "");
}

TEST_CASE("optimizers: states move into a pack and out of it, and every executor follows", "[optimizer][device]") {
  const Target own = target_for(test_device().info());
  const OptimizerDef& optimizer = find_optimizer("adamw");
  const Contents expected = train(optimizer, {7}, own);
  States states(test_device());

  // A graph that reads the parameters was there first.
  Graph reader;
  const Value p5 = reader.state("p5", {kShapes[5]}), doubled = reader.add1(ops::scale, {{"factor", 2.0}}, {p5}, "doubled");
  reader.output(doubled);
  Executor early(test_device(), reader, make_plan(reader, own), states);
  const auto reads_twice = [&](const Contents& contents) {
    early.run();
    const std::vector<float> got = early.read(doubled);
    for (size_t i = 0; i < got.size(); ++i)
      if (got[i] != 2 * contents.at("p5")[i]) return false;
    return true;
  };
  states.write("p5", numbers("before", {kShapes[5]}));
  CHECK(reads_twice({{"p5", numbers("before", {kShapes[5]})}}));
  CHECK(train(optimizer, {7}, own, states) == expected);
  CHECK(reads_twice(expected));
  CHECK(train(optimizer, {3, 4}, own, states) == expected);
  CHECK(reads_twice(expected));
  CHECK(train(optimizer, {1, 6}, own, states) == expected);
  CHECK(reads_twice(expected));
  CHECK(test::new_validation_messages() == "");
}

TEST_CASE("states: arranging keeps what they hold and gives back the places they left", "[optimizer][device]") {
  States states(test_device());
  const TensorDesc large{{1500000}}, small{{3}};
  for (const auto& [name, desc] : {std::pair("a", large), std::pair("s", small), std::pair("b", large)}) {
    states.region(name, desc);
    states.write(name, numbers(name, desc));
  }
  const size_t before = states.bytes();
  const uint64_t layout = states.layout();
  const std::vector<States::Placed> tensors{{"b", large, 0}, {"a", large, large.bytes()}, {"new", small, 2 * large.bytes()}};
  states.arrange(tensors, 2 * large.bytes() + 256);
  CHECK(states.layout() != layout);
  CHECK(states.bytes() == before + 256);
  const Region a = states.region("a", large), b = states.region("b", large);
  CHECK(a.buffer == b.buffer);
  CHECK(a.offset == b.offset + large.bytes());
  CHECK(states.read("a") == numbers("a", large));
  CHECK(states.read("b") == numbers("b", large));
  CHECK(states.read("s") == numbers("s", small));
  CHECK(states.read("new") == std::vector<float>(3));
  const uint64_t now = states.layout();
  states.arrange(tensors, 2 * large.bytes() + 256);
  CHECK(states.layout() == now);
  CHECK_THROWS_WITH(states.arrange(std::vector<States::Placed>{{"a", small, 0}, {"b", large, 256}}, large.bytes() + 256), contains("'a'"));
}

TEST_CASE("optimizers: a step of a whole network takes a handful of launches", "[optimizer]") {
  NetworkSettings network;
  network.model = &find_model("mobilenetv2");
  network.preprocessing = network.model->preprocessing;
  network.batch = 2;
  for (const OptimizerDef& optimizer : optimizers()) {
    const StepGraph s = training_graph(network, optimizer, {});
    size_t launches = 0, tensors = 0;
    for (const PlannedNode& n : make_plan(s.graph, Target{}).nodes) {
      const Node& node = s.graph.nodes()[size_t(n.node)];
      if (node.op != optimizer.op) continue;
      launches += n.lowered.dispatches.size();
      tensors += size_t(node.attrs.integer("tensors", 1));
    }
    CHECK(tensors == 158);
    CHECK(launches == 5);
  }
}

TEST_CASE("optimizers: a parameter larger than a group is alone and cut within what a device binds", "[optimizer]") {
  // The classifier of VGG16: 25088 x 4096, 4096 x 4096 and 4096 x 1000 with their biases.
  Graph g;
  std::vector<TrainedParameter> all;
  const std::vector<Shape> shapes{{3, 3, 512, 512}, {512}, {25088, 4096}, {4096}, {4096, 4096}, {4096}, {4096, 1000}, {1000}};
  for (const Shape& shape : shapes) {
    const std::string name = "p" + std::to_string(all.size());
    all.push_back({g.state(name, {shape}, {.trainable = true}), g.input("grad " + name, {shape})});
  }
  std::vector<size_t> sizes;
  const Value hyper = g.input("hyper", {{8}});
  for (const auto& group : packed_groups(g, all)) {
    sizes.push_back(group.size());
    add_optimizer(g, find_optimizer("sgd"), kSettings, group, hyper);
  }
  CHECK(sizes == std::vector<size_t>{1, 4, 1, 1, 1});
  Target target;
  target.max_storage_range = size_t(128) << 20;
  const Plan plan = make_plan(g, target, {.max_block_bytes = size_t(1) << 30});
  size_t launches = 0;
  for (const PlannedNode& n : plan.nodes)
    for (const Dispatch& d : n.lowered.dispatches) {
      ++launches;
      for (const Binding& b : d.bindings) {
        CHECK(b.bytes <= target.max_storage_range);
        CHECK(b.offset % target.storage_alignment == 0);
      }
    }
  CHECK(launches == 8);  // 392 MiB in four, the others whole
}

TEST_CASE("Adam's epsilon is torch's or Keras'", "[optimizer]") {
  for (const char* name : {"adam", "adamw"}) {
    const OptimizerDef& adam = find_optimizer(name);
    CHECK(adam.attrs({}).text("epsilon", "") == "torch");
    CHECK(adam.attrs({.keras_epsilon = true}).text("epsilon", "") == "keras");
    CHECK(adam.hyper({}, 0.1, 1)[3] == 1e-8f);
    CHECK(adam.hyper({.keras_epsilon = true}, 0.1, 1)[3] == 1e-7f);
  }
  TrainSettings s;
  CHECK_FALSE(s.optimizer_settings().keras_epsilon);
  s.adam_epsilon = "keras";
  CHECK(s.optimizer_settings().keras_epsilon);
}
