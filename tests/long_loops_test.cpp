// Kernels that add up or search more elements than a loop may have turns: lavapipe ends an invocation's loops after 65,535
// turns in all and goes on as if nothing had happened. Sums of ones show at once what was left out.
#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "tests/catch.h"
#include "tests/op_shader.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

// The outputs of one op whose inputs all hold ones, but for the last element of the first input: `last`.
std::vector<float> run_on_ones(const OpDef& op, Attrs attrs, std::vector<TensorDesc> in, Engine engine, float last = 1) {
  Device& device = test_device();
  Target target = target_for(device.info());
  target.engine = engine == Engine::shared ? engine : std::min(target.engine, engine);  // shared needs nothing that a device may lack
  Graph g;
  std::vector<Value> inputs;
  for (size_t i = 0; i < in.size(); ++i) inputs.push_back(g.input("in" + std::to_string(i), in[i]));
  const Value out = g.add1(op, std::move(attrs), inputs, "op");
  g.output(out);
  States states(device);
  Executor executor(device, g, make_plan(g, target), states);
  for (size_t i = 0; i < in.size(); ++i) {
    std::vector<float> ones(size_t(in[i].elements()), 1.0f);
    if (i == 0) ones.back() = last;
    executor.write(inputs[i], std::span<const float>(ones));
  }
  executor.run();
  return executor.read(out);
}

}  // namespace

TEST_CASE("long reductions add up every element", "[long][smoke]") {
  const Shape map{1, 300, 260, 1}, images{40, 48, 48, 1};
  for (const Engine engine : {Engine::direct, Engine::subgroup, Engine::shared}) {
    CAPTURE(engine_name(engine));
    CHECK(run_on_ones(ops::conv2d_grad_filter, {{"filter", std::vector<int64_t>{1, 1, 1, 1}}}, {{images}, {images}}, engine)[0] == 40 * 48 * 48);
    CHECK(run_on_ones(ops::channel_sum, {}, {{map}}, engine)[0] == 300 * 260);
    CHECK(run_on_ones(ops::linear, {}, {{Shape{1, 40000}}, {Shape{40000, 2}}}, engine)[1] == 40000);
  }
  CHECK(run_on_ones(ops::global_avg_pool, {}, {{map}}, Engine::subgroup)[0] == 1);
  CHECK(run_on_ones(ops::mul_grad_scale, {}, {{map}, {map}}, Engine::subgroup)[0] == 300 * 260);
  CHECK(run_on_ones(ops::global_max_pool, {}, {{map}}, Engine::subgroup, 2)[0] == 2);
  const std::vector<float> dx = run_on_ones(ops::global_max_pool_grad, {}, {{map}, {Shape{1, 1}}}, Engine::subgroup, 2);
  CHECK(dx.front() == 0);
  CHECK(dx.back() == 1);
}
