// Profiles, benchmarks of steps and ops: what they say must add up. No test asserts a time.
#include "tools/bench/profile.h"

#include <algorithm>

#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "runtime/machine_limits.h"
#include "tests/catch.h"
#include "tests/op_shader.h"
#include "tools/bench/op_bench.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

NetworkSettings small_network() {
  NetworkSettings n;
  n.model = &find_model("compact_resnet");
  n.size = 16;
  n.batch = 2;
  n.preprocessing = n.model->preprocessing;
  return n;
}

ProfileRow row(const std::string& op, const std::string& kernels, double milliseconds) {
  return {op + ".node", op, kernels, 1, 2, milliseconds, {.flops = 2e6, .bytes = 1e6}};
}

}  // namespace

TEST_CASE("a spread has the median, the quartiles and the extremes", "[bench]") {
  const Spread odd = spread_of({5, 1, 4, 2, 3});
  CHECK(odd.median == 3);
  CHECK(odd.q1 == 2);
  CHECK(odd.q3 == 4);
  CHECK(odd.min == 1);
  CHECK(odd.max == 5);
  CHECK(odd.repeats == 5);
  const Spread even = spread_of({4, 1, 3, 2});
  CHECK(even.median == 2.5);
  CHECK(even.q1 == 1.75);
  CHECK(even.q3 == 3.25);
  const Spread one = spread_of({7});
  CHECK((one.median == 7 && one.q1 == 7 && one.max == 7));
}

TEST_CASE("rows of an op add up, the slowest op first", "[bench]") {
  const std::vector<ProfileRow> rows = by_op({row("a", "k.f32", 1), row("b", "m.f32 s.f32", 5), row("a", "s.f32 k.f32", 2)});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].op == "b");
  CHECK(rows[1].nodes == 2);
  CHECK(rows[1].dispatches == 4);
  CHECK(rows[1].milliseconds == 3);
  CHECK(rows[1].kernels == "k.f32 s.f32");
  CHECK(rows[1].gflops_per_second() == Approx(4.0 / 3));
  CHECK(rows[1].gigabytes_per_second() == Approx(2.0 / 3));
}

TEST_CASE("a Chrome trace has every node once, one after the other", "[bench]") {
  Profile p;
  p.step.milliseconds.median = 4;
  p.step.host_milliseconds.median = 0.5;
  p.nodes = {row("a", "k.f32", 1), row("b", "m.f32", 2)};
  const Json trace = Json::parse(chrome_trace(p, "a \"net\"").dump());
  double end = 0;
  int spans = 0;
  for (const Json& e : trace.at("traceEvents")) {
    CHECK(e.contains("pid"));
    if (e.at("ph") != "X" || e.at("tid") != 1) continue;
    CHECK(e.at("ts").get<double>() == end);
    end += e.at("dur").get<double>();
    ++spans;
  }
  CHECK(spans == 2);
  CHECK(end == 3000);  // microseconds
}

TEST_CASE("a workload's profile covers its plan", "[bench][device]") {
  const Target target = target_for(test_device().info());
  const OptimizerDef& optimizer = find_optimizer("adamw");
  const bool training = GENERATE(true, false);
  const auto work = training ? training_workload(test_device(), small_network(), optimizer, {}, target)
                             : inference_workload(test_device(), small_network(), target);
  int calls = 0;
  const Profile p = profile_workload(*work, {1, 3, [&](int done, int total) {
                                                ++calls;
                                                CHECK(done <= total);
                                              }});
  CHECK(calls == 4);
  CHECK(p.step.milliseconds.repeats == 3);
  CHECK(p.step.milliseconds.min > 0);
  CHECK(p.step.host_milliseconds.median <= p.step.milliseconds.max);
  CHECK(p.work.dispatches > 0);
  CHECK(p.work.submissions > 0);
  if (test_device().info().timestamp_valid_bits == 0) return;
  size_t dispatches = 0, expected = 0;
  for (const PlannedNode& n : work->executor().plan().nodes) expected += !n.prologue;
  CHECK(p.nodes.size() == expected);
  for (const ProfileRow& r : p.nodes) {
    INFO(r.label);
    CHECK(!r.kernels.empty());
    CHECK(r.milliseconds >= 0);
    dispatches += r.dispatches;
  }
  CHECK(dispatches == p.work.dispatches);
  CHECK(new_validation_messages() == "");
}

TEST_CASE("a profile has a sample for every run", "[bench][device]") {
  const auto work = inference_workload(test_device(), small_network(), target_for(test_device().info()));
  work->step();
  for (const NodeTiming& t : work->executor().profile(5)) {
    CHECK(t.samples.size() == 5);
    CHECK(t.milliseconds >= *std::min_element(t.samples.begin(), t.samples.end()));
    CHECK(t.milliseconds <= *std::max_element(t.samples.begin(), t.samples.end()));
  }
}

TEST_CASE("problems: equal nodes share one, attributes and shapes tell them apart", "[bench][graph]") {
  Graph g;
  const Value x = g.input("x", {{1, 4, 4, 8}}), f = g.input("f", {{1, 1, 8, 8}});
  const Value a = g.add1(ops::conv2d, {}, {x, f}, "a"), b = g.add1(ops::conv2d, {}, {a, f}, "b");
  g.add1(ops::conv2d, {{"stride", std::vector<int64_t>{2, 2}}}, {b, f}, "c");
  const std::vector<CountedProblem> all = problems_of(g);
  REQUIRE(all.size() == 2);
  CHECK(all[0].count == 2);
  CHECK(all[0].label == "a");
  CHECK_THAT(all[1].problem.key(), contains("stride=2,2") && contains("1x4x4x8 f32"));
  const Graph lone = lone_graph(all[1].problem);
  REQUIRE(lone.nodes().size() == 1);
  CHECK(problem_of(lone, lone.nodes()[0]).key() == all[1].problem.key());
}

TEST_CASE("products and convolutions by shape, with their gradients", "[bench][device]") {
  std::vector<CountedProblem> all = gemm_problems("6x8x5");
  REQUIRE(all.size() == 3);
  CHECK(all[0].problem.in[0].shape == Shape{6, 5});
  CHECK(all[0].problem.in[1].shape == Shape{5, 8});
  for (CountedProblem& p : conv_problems("2x7x5x8,3x3x8,2,8")) all.push_back(p);
  REQUIRE(all.size() == 6);
  for (const CountedProblem& p : all) {
    INFO(p.problem.key());
    const OpBench b = bench_problem(test_device(), p, target_for(test_device().info()), {1, 2});
    CHECK(b.failure == "");
    CHECK(b.milliseconds.repeats == 2);
    CHECK(b.milliseconds.min >= 0);
    CHECK(b.cost.flops > 0);
    CHECK(b.kernels != "");
    CHECK(b.by_timestamps == (test_device().info().timestamp_valid_bits != 0));
  }
  CHECK(all[1].label == "gemm 6x8x5/grad_input");
  CHECK(new_validation_messages() == "");
}

TEST_CASE("shapes that are none are refused", "[bench]") {
  for (const char* text : {"", "3", "3x3", "3x3x3x3", "0x1x1", "-1x1x1", "axbxc", "3x3x3 ", "3x3x", "99999999999999999999x1x1"}) {
    INFO(text);
    CHECK_THROWS_WITH(gemm_problems(text), contains("[--gemm]") && contains("MxNxK"));
  }
  CHECK_THROWS_WITH(gemm_problems("1048576x1048576x1"), contains("thousand million"));
  for (const char* text : {"", "1x2x3x4", "1x2x3x4,", "1x2x3x4,3x3", "1x2x3x4,3x3x4,0", "1x2x3x4,3x3x4,1,1,1", ",,,", "1x2x3x4,3x3x4,x"}) {
    INFO(text);
    CHECK_THROWS_WITH(conv_problems(text), contains("[--conv]"));
  }
  CHECK_THROWS_WITH(conv_problems("1x2x3x4,3x3x4,1,3"), contains("3 groups"));
}

TEST_CASE("a problem that cannot be planned says why instead of a time", "[bench][device]") {
  Problem huge;
  huge.op = &ops::relu;
  huge.in.push_back({Shape{1 << 14, 1 << 14, 4}, DType::f32});
  const OpBench b = bench_problem(test_device(), {huge, "huge", 1}, target_for(test_device().info()), {1, 1});
  CHECK_THAT(b.failure, contains("one tensor"));
}

TEST_CASE("a device's limits are positive", "[bench][device]") {
  const MachineLimits limits = measure_limits(test_device());
  CHECK(limits.flops_per_second > 1e6);
  CHECK(limits.copy_bytes_per_second > 1e6);
  CHECK(new_validation_messages() == "");
}
