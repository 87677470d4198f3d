// Whole graphs on the device: equal to the reference, and the same bits however memory is planned.
#include "graph/executor.h"

#include <cmath>
#include <optional>

#include "graph/ops/ops.h"
#include "graph/reference.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_shader.h"
#include "tests/small_nets.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

std::vector<float> floats(const HostTensor& t) { return {t.data.begin(), t.data.end()}; }

// An executor with its own states, everything filled by random_values().
struct Session {
  States states{test_device()};
  std::optional<Executor> executor;

  Session(const Graph& g, const PlanOptions& options, bool poison = true) {
    executor.emplace(test_device(), g, make_plan(g, target_for(test_device().info()), options), states);
    if (poison) executor->poison();
    for (const auto& [id, tensor] : random_values(g, "session")) {
      const ValueInfo& info = g.info(Value{id});
      if (info.role == Role::state) states.write(info.name, floats(tensor));
      else if (info.desc.dtype == DType::i32)
        executor->write(Value{id},
                        std::span<const int32_t>(std::vector<int32_t>(tensor.data.begin(), tensor.data.end())));
      else executor->write(Value{id}, floats(tensor));
    }
  }

  // The bits of every output and every state.
  std::map<std::string, std::vector<float>> results() {
    std::map<std::string, std::vector<float>> all;
    for (size_t v = 0; v < executor->graph().values().size(); ++v)
      if (executor->graph().values()[v].output) all["output " + std::to_string(v)] = executor->read(Value{int(v)});
    for (const std::string& name : states.names()) all[name] = states.read(name);
    return all;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void check_same_bits(const std::map<std::string, std::vector<float>>& a,
                     const std::map<std::string, std::vector<float>>& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, values] : a) {
    INFO(name);
    CHECK(same_bits(values, b.at(name)));
  }
}

double relative_error(const std::vector<float>& got, const HostTensor& expected) {
  HostTensor d(expected.shape);
  for (size_t i = 0; i < d.data.size(); ++i) d[i] = double(got[i]) - expected[i];
  return norm(d) / (norm(expected) + 1e-12);
}

SmallNet training_net() {
  SmallNet net = small_net({.batch = 5});
  fuse_for_training(net.graph);
  add_training(net);
  return net;
}

}  // namespace

TEST_CASE("a training step equals the reference", "[executor][device][smoke]") {
  const SmallNet net = training_net();
  Session session(net.graph, {});
  session.executor->run();
  const auto expected = run_reference(net.graph, random_values(net.graph, "session"));
  for (size_t v = 0; v < net.graph.values().size(); ++v) {
    if (!net.graph.values()[v].output) continue;
    INFO(net.graph.values()[v].name);
    CHECK(relative_error(session.executor->read(Value{int(v)}), expected.at(int(v))) < 1e-4);
  }
  for (const Update& u : net.graph.updates()) {
    INFO("state " << net.graph.info(u.state).name);
    CHECK(relative_error(session.states.read(net.graph.info(u.state).name), expected.at(u.value.id)) < 1e-4);
  }
  CHECK(new_validation_messages() == "");
}

TEST_CASE("training gives the same bits however memory is planned", "[executor][device]") {
  const SmallNet net = training_net();
  auto run = [&](const PlanOptions& options, bool poison) {
    Session session(net.graph, options, poison);
    for (int step = 0; step < 3; ++step) session.executor->run();
    if (options.guard_bytes) CHECK(session.executor->check_guards() == "");
    return session.results();
  };
  const auto reused = run({}, true);
  check_same_bits(reused, run({}, false));
  check_same_bits(reused, run({.reuse = false, .guard_bytes = 64}, true));
  check_same_bits(reused, run({.max_block_bytes = 1 << 15}, true));
  CHECK(new_validation_messages() == "");
}

TEST_CASE("an inference graph equals the reference, and follows its states", "[executor][device][smoke]") {
  SmallNet net = small_net({.training = false, .activation = "hardswish", .batch = 3});
  fuse_for_inference(net.graph);
  Session session(net.graph, {});
  auto values = random_values(net.graph, "session");
  auto check = [&] {
    session.executor->run();
    CHECK(relative_error(session.executor->read(net.logits), run_reference(net.graph, values).at(net.logits.id)) <
          1e-5);
  };
  check();
  check();  // the second time without the prologue
  const Value gamma = net.graph.find("stem.norm.weight");
  for (double& x : values[gamma.id].data) x *= -1.5;
  session.states.write("stem.norm.weight", floats(values[gamma.id]));
  check();  // folded again
  session.executor->poison();
  for (Value input : {net.images, net.class_weights}) session.executor->write(input, floats(values[input.id]));
  session.executor->write(net.labels, std::span<const int32_t>(std::vector<int32_t>(3, 1)));
  check();  // and again where the memory was lost
  CHECK(new_validation_messages() == "");
}

TEST_CASE("graphs share states by name", "[executor][device]") {
  const SmallNet training = training_net(), evaluation = small_net({.training = false, .batch = 5});
  Session session(training.graph, {});
  Executor eval(test_device(), evaluation.graph, make_plan(evaluation.graph, target_for(test_device().info())),
                session.states);
  auto values = random_values(evaluation.graph, "session");
  eval.write(evaluation.images, floats(values[evaluation.images.id]));
  eval.write(evaluation.class_weights, floats(values[evaluation.class_weights.id]));
  eval.write(evaluation.labels, std::span<const int32_t>(std::vector<int32_t>(5, 2)));
  for (double& x : values[evaluation.labels.id].data) x = 2;
  for (int step = 0; step < 2; ++step) {
    const uint64_t version = session.states.version();
    session.executor->run();
    CHECK(session.states.version() != version);
    for (Value s : evaluation.graph.states()) {
      const std::vector<float> now = session.states.read(evaluation.graph.info(s).name);
      values[s.id].data.assign(now.begin(), now.end());
    }
    eval.run();
    CHECK(relative_error(eval.read(evaluation.logits),
                         run_reference(evaluation.graph, values).at(evaluation.logits.id)) < 1e-5);
  }
  CHECK(new_validation_messages() == "");
}

TEST_CASE("a state keeps its shape", "[executor][device]") {
  States states(test_device());
  states.region("w", {{3, 4}, DType::f32});
  CHECK_THROWS_WITH(states.region("w", {{4, 3}, DType::f32}), contains("'w'") && contains("4x3"));
  CHECK_THROWS_WITH(states.write("w", std::vector<float>(11)), contains("'w'"));
  CHECK_THROWS_WITH(states.write("absent", std::vector<float>(1)), contains("'absent'"));
  CHECK(states.read("w") == std::vector<float>(12, 0.f));
}

TEST_CASE("16-bit states are stored as written", "[executor][device]") {
  States states(test_device());
  states.region("h", {{5}, DType::f16});
  states.write("h", std::vector<float>{1, -0.5, 65504, 1e-7f, 0.1f});
  const std::vector<float> got = states.read("h");
  CHECK(got ==
        std::vector<float>{1, -0.5, 65504, half_to_float(float_to_half(1e-7f)), half_to_float(float_to_half(0.1f))});
}

TEST_CASE("inputs and outputs are checked at the door", "[executor][device]") {
  Graph g;
  const Value x = g.input("x", {{1, 2, 2, 4}, DType::f32});
  const Value dead = g.add1(ops::relu, {}, {x}, "dead"), y = g.add1(ops::relu6, {}, {x}, "y");
  g.output(y);
  States states(test_device());
  Executor executor(test_device(), g, make_plan(g, target_for(test_device().info())), states);
  CHECK_THROWS_WITH(executor.write(x, std::vector<float>(15)), contains("'x'") && contains("15"));
  CHECK_THROWS_WITH(executor.write(x, std::span<const int32_t>(std::vector<int32_t>(16))), contains("'x'"));
  CHECK_THROWS_WITH(executor.read(dead), contains("dead") && contains("Fix:"));
  std::vector<float> small(3);
  CHECK_THROWS_AS(executor.read(y, std::span<float>(small)), Error);
  const Graph other = small_net().graph;
  CHECK_THROWS_AS(Executor(test_device(), other, make_plan(g, target_for(test_device().info())), states), Error);
}

TEST_CASE("a profile times every node and leaves the results as they are", "[executor][device]") {
  SmallNet net = small_net({.training = false});
  Session session(net.graph, {});
  session.executor->run();
  const auto before = session.results();
  const std::vector<NodeTiming> timings = session.executor->profile();
  CHECK(timings.size() == session.executor->plan().nodes.size());
  for (const NodeTiming& t : timings) {
    INFO(t.label);
    CHECK(t.milliseconds >= 0);
    CHECK(t.cost.bytes > 0);
  }
  check_same_bits(before, session.results());
  CHECK(new_validation_messages() == "");
}
