// Whole graphs on the device: equal to the reference, and the same bits however memory is planned.
#include "graph/executor.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "graph/ops/ops.h"
#include "graph/pacing.h"
#include "graph/reference.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/environment.h"
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

namespace {

// `runs` steps of a training net on batches of their own, at most `depth` in flight: every loss, then the states.
struct Sequence {
  std::vector<float> losses;
  std::map<std::string, std::vector<float>> states;
};

Sequence sequence(Device& device, int runs, size_t depth) {
  const SmallNet net = training_net();
  States states(device);
  Executor executor(device, net.graph, make_plan(net.graph, target_for(device.info())), states);
  executor.poison();
  const auto constant = random_values(net.graph, "session");
  for (const auto& [id, tensor] : constant) {
    const ValueInfo& info = net.graph.info(Value{id});
    if (info.role == Role::state) states.write(info.name, floats(tensor));
    else if (Value{id} != net.images && Value{id} != net.labels) executor.write(Value{id}, floats(tensor));  // once
  }
  Sequence s;
  const auto finish = [&] {
    executor.wait();
    s.losses.push_back(executor.read_scalar(net.loss));
  };
  for (int run = 0; run < runs; ++run) {
    const auto values = random_values(net.graph, "run " + std::to_string(run));
    executor.write(net.images, floats(values.at(net.images.id)));
    const HostTensor& labels = values.at(net.labels.id);
    if (run != 3)  // keeps what was written for the run before, which lies in the other half
      executor.write(net.labels, std::span<const int32_t>(std::vector<int32_t>(labels.data.begin(), labels.data.end())));
    executor.submit();
    while (executor.in_flight() >= depth) finish();
  }
  while (executor.in_flight()) finish();
  CHECK(executor.host_time().runs == runs);
  for (const std::string& name : states.names()) s.states[name] = states.read(name);
  return s;
}

}  // namespace

TEST_CASE("runs in flight behind one another give the bits of runs one by one", "[executor][device]") {
  const Sequence alone = sequence(test_device(), 7, 1);
  CHECK(alone.losses[0] != alone.losses[1]);
  for (const bool staged : {false, true}) {
    INFO("memory that the host " << (staged ? "cannot see" : "sees"));
    const Environment off("VKFER_DISABLE", staged ? "unified_memory" : "");
    Device device;
    CHECK_FALSE((staged && device.info().unified_memory));
    for (const size_t depth : {size_t(1), Executor::kMostInFlight}) {
      const Sequence s = sequence(device, 7, depth);
      CHECK(same_bits(s.losses, alone.losses));
      check_same_bits(s.states, alone.states);
    }
    for (const std::string& message : device.validation_messages()) FAIL_CHECK(message);
  }
  CHECK(new_validation_messages() == "");
}

TEST_CASE("what a run in flight uses cannot be written or misread", "[executor][device]") {
  const SmallNet net = training_net();
  Session session(net.graph, {});
  Executor& executor = *session.executor;
  const std::vector<float> images = floats(random_values(net.graph, "session").at(net.images.id));
  CHECK_THROWS_WITH(executor.wait(), contains("submit()"));
  CHECK_THROWS_WITH(executor.read_scalar(net.loss), contains("loss") && contains("run()"));
  CHECK_THROWS_WITH(executor.write(net.logits, std::vector<float>(15)), contains("no input"));
  executor.submit();
  executor.write(net.images, images);
  executor.submit();
  CHECK_THROWS_WITH(executor.write(net.images, images), contains("wait()"));
  CHECK_THROWS_WITH(executor.submit(), contains("wait()"));
  // States settle by themselves: what both runs left.
  const std::vector<float> state = session.states.read("stem.weight");
  executor.wait();
  CHECK(executor.in_flight() == 1);
  executor.drain();
  CHECK(same_bits(state, session.states.read("stem.weight")));
  std::vector<float> back(images.size());
  executor.read(net.images, std::span<float>(back));
  CHECK(same_bits(back, images));
  CHECK(new_validation_messages() == "");
}

TEST_CASE("an executor may go while its runs are in flight", "[executor][device]") {
  const SmallNet net = training_net();
  States states(test_device());
  std::vector<float> expected;
  for (const bool abandoned : {false, true}) {
    Executor executor(test_device(), net.graph, make_plan(net.graph, target_for(test_device().info())), states);
    for (const auto& [id, tensor] : random_values(net.graph, "session")) {
      const ValueInfo& info = net.graph.info(Value{id});
      if (info.role == Role::state) states.write(info.name, floats(tensor));
      else if (info.desc.dtype == DType::i32)
        executor.write(Value{id}, std::span<const int32_t>(std::vector<int32_t>(tensor.data.begin(), tensor.data.end())));
      else executor.write(Value{id}, floats(tensor));
    }
    executor.submit();
    executor.submit();
    if (abandoned) continue;
    executor.drain();
    expected = states.read("stem.weight");
  }
  CHECK(same_bits(states.read("stem.weight"), expected));
  CHECK(new_validation_messages() == "");
}

TEST_CASE("large outputs are read when nothing is in flight", "[executor][device]") {
  Graph g;
  const TensorDesc desc{{1, 64, 64, 8}, DType::f32};
  const Value x = g.input("x", desc), y = g.add1(ops::relu, {}, {x}, "y");
  g.output(y);
  States states(test_device());
  Executor executor(test_device(), g, make_plan(g, target_for(test_device().info())), states);
  const std::vector<float> ones(size_t(desc.elements()), 1);
  executor.write(x, ones);
  executor.submit();
  CHECK_THROWS_WITH(executor.read(y), contains("'y'") && contains("drain()"));
  executor.drain();
  CHECK(executor.read(y) == ones);
}

TEST_CASE("submissions follow the device's speed, both ways, and come to rest", "[executor]") {
  // A device that takes `factor` times what was guessed; how often the boundaries moved, and the longest submission at the end.
  const auto settle = [](double factor, std::vector<double> nodes) {
    Pacing pacing(nodes);
    int moves = 0;
    double longest = 0;
    for (int run = 0; run < 500; ++run) {
      std::vector<double> submissions(1);
      auto cut = pacing.cuts().begin();
      for (size_t n = 0; n < nodes.size(); ++n) {
        if (cut != pacing.cuts().end() && *cut == n) submissions.push_back(0), ++cut;
        submissions.back() += nodes[n] * factor * (run == 0 ? 100 : run % 3 == 0 ? 1.3 : 1);  // it compiles first, and is not even
      }
      longest = *std::max_element(submissions.begin(), submissions.end());
      moves += pacing.observe(submissions);
    }
    return std::pair(moves, longest);
  };
  const std::vector<double> nodes(1000, 1.0);
  CHECK(settle(1, nodes).first == 0);
  for (const double factor : {0.01, 0.1, 8.0, 40.0}) {
    INFO("the device takes " << factor << " times the guess");
    const auto [moves, longest] = settle(factor, nodes);
    CHECK(moves >= 1);
    CHECK(moves <= 3);
    CHECK(longest <= 2 * Pacing::kMilliseconds);
    CHECK(longest >= std::min(Pacing::kMilliseconds / 3, 1000 * factor / 2));
  }
  CHECK(settle(100, {1.0, 1.0, 1.0}).second <= 130);  // single nodes cannot be cut
  CHECK(settle(1000, {1.0}).first == 0);
  CHECK_FALSE(Pacing().observe(std::vector<double>{1e6}));
}

TEST_CASE("submission boundaries change no bit", "[executor][device]") {
  const SmallNet net = training_net();
  const auto run = [&](double flops_factor) {
    Session session(net.graph, {});
    Plan plan = make_plan(net.graph, target_for(test_device().info()));
    for (PlannedNode& n : plan.nodes) n.lowered.cost.flops *= flops_factor;
    States states(test_device());
    Executor executor(test_device(), net.graph, plan, states);
    for (const std::string& name : session.states.names()) states.write_bytes(name, session.states.read_bytes(name));
    for (const auto& [id, tensor] : random_values(net.graph, "session")) {
      if (net.graph.info(Value{id}).role != Role::input) continue;
      if (net.graph.desc(Value{id}).dtype == DType::i32)
        executor.write(Value{id}, std::span<const int32_t>(std::vector<int32_t>(tensor.data.begin(), tensor.data.end())));
      else executor.write(Value{id}, floats(tensor));
    }
    // Cut before every node at first, then joined step by step: boundaries move while two runs are in flight.
    for (int step = 0; step < 40; ++step) {
      executor.submit();
      if (executor.in_flight() == Executor::kMostInFlight) executor.wait();
    }
    executor.drain();
    std::map<std::string, std::vector<float>> all;
    for (const std::string& name : states.names()) all[name] = states.read(name);
    return all;
  };
  check_same_bits(run(1), run(1e9));
  CHECK(new_validation_messages() == "");
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
