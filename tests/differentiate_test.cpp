// Gradients of whole graphs: sums over several users, pruning, and finite differences of a loss. No device.
#include <algorithm>
#include <cmath>

#include "graph/op.h"
#include "graph/ops/ops.h"
#include "graph/reference.h"
#include "tests/catch.h"
#include "tests/small_nets.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

std::vector<Value> trainable_states(const Graph& g) {
  std::vector<Value> result;
  for (Value s : g.states())
    if (g.info(s).state.trainable) result.push_back(s);
  return result;
}

double loss_of(const SmallNet& net, const std::map<int, HostTensor>& values) {
  return run_reference(net.graph, values).at(net.loss.id)[0];
}

// Fourth-order central difference of the loss along a direction of norm 1.
double slope(const SmallNet& net, std::map<int, HostTensor> values, Value v, const HostTensor& direction) {
  const HostTensor start = values.at(v.id);
  auto at = [&](double step) {
    for (size_t i = 0; i < start.data.size(); ++i) values[v.id][i] = start[i] + step * direction[i];
    return loss_of(net, values);
  };
  const double h = 1e-4;
  const double whole = (at(h) - at(-h)) / (2 * h), half = (at(h / 2) - at(-h / 2)) / h;
  return (4 * half - whole) / 3;
}

size_t count_nodes(const Graph& g, std::string_view op) {
  return size_t(std::count_if(g.nodes().begin(), g.nodes().end(), [&](const Node& n) { return n.op->name == op; }));
}

}  // namespace

TEST_CASE("gradients of a network equal finite differences of its loss", "[graph][differentiate]") {
  const bool fused = GENERATE(false, true);
  SmallNet net = small_net({.activation = "silu"});  // smooth: no kinks to step over
  if (fused) fuse_for_training(net.graph);
  const SmallNet forward = net;
  std::vector<Value> wrt = trainable_states(net.graph);
  wrt.push_back(net.images);
  const std::vector<Value> grads = differentiate(net.graph, net.loss, wrt);
  const std::map<int, HostTensor> values = random_values(net.graph, "differences");
  const std::map<int, HostTensor> computed = run_reference(net.graph, values);
  std::map<int, HostTensor> given = random_values(forward.graph, "differences");
  double largest = 0;
  for (Value g : grads) largest = std::max(largest, norm(computed.at(g.id)));
  for (size_t k = 0; k < wrt.size(); ++k) {
    INFO(net.graph.info(wrt[k]).name << " fused=" << fused);
    REQUIRE(bool(grads[k]));
    const HostTensor& gradient = computed.at(grads[k].id);
    Numbers numbers("directions" + net.graph.info(wrt[k]).name);
    for (int probe = 0; probe < 4; ++probe) {
      HostTensor direction(gradient.shape);
      if (probe < 2) direction[numbers.bits() % direction.data.size()] = 1;
      else for (double& x : direction.data) x = numbers.uniform(-1, 1);
      const double length = norm(direction);
      double expected = 0;
      for (size_t i = 0; i < direction.data.size(); ++i) expected += gradient[i] * (direction[i] /= length);
      CHECK(std::abs(slope(forward, given, wrt[k], direction) - expected) <= 1e-6 * norm(gradient) + 1e-9 * largest);
    }
  }
}

TEST_CASE("the gradients of several users are summed", "[graph][differentiate]") {
  Graph g;
  const TensorDesc desc{{1, 3}, DType::f32};
  const Value w = g.state("w", desc, {.trainable = true}), zero = g.input("zero", desc), one = g.input("one", desc);
  const Value a = g.add1(ops::scale, {{"factor", 3.0}}, {w}, "a");
  const Value b = g.add1(ops::add, {}, {a, w}, "b");
  const Value c = g.add1(ops::add, {}, {b, b}, "c");  // c = 8 w
  const Value loss = g.add(ops::mse, {}, {c, zero, one}, "loss")[0];
  const std::vector<Value> grads = differentiate(g, loss, std::vector<Value>{w});
  const auto values = run_reference(g, {{w.id, [&] { HostTensor t(desc.shape); t.data = {1, -2, 0.5}; return t; }()},
                                        {zero.id, HostTensor(desc.shape)},
                                        {one.id, HostTensor(desc.shape, 1)},
                                        {g.find("loss_scale").id, HostTensor({1}, 1)}});
  for (size_t i = 0; i < 3; ++i)  // loss = sum((8 w)^2) / 3
    CHECK(values.at(grads[0].id)[i] == Approx(2.0 * 64 * values.at(w.id)[i] / 3).epsilon(1e-12));
}

TEST_CASE("a value that is computed has a gradient too, and nothing below it is differentiated", "[graph][differentiate]") {
  Graph g;
  const TensorDesc desc{{1, 3}, DType::f32};
  const Value w = g.state("w", desc, {.trainable = true}), zero = g.input("zero", desc), one = g.input("one", desc);
  const Value a = g.add1(ops::scale, {{"factor", 3.0}}, {w}, "a");
  const Value b = g.add1(ops::add, {}, {a, a}, "b");
  const Value c = g.add1(ops::add, {}, {b, a}, "c");  // c = 3 a, through two users
  const Value loss = g.add(ops::mse, {}, {c, zero, one}, "loss")[0];
  const std::vector<Value> grads = differentiate(g, loss, std::vector<Value>{a});
  REQUIRE(bool(grads[0]));
  CHECK(count_nodes(g, "scale") == 1);  // the forward one: its gradient would be another
  const auto values = run_reference(g, {{w.id, HostTensor(desc.shape, 0.5)}, {zero.id, HostTensor(desc.shape)}, {one.id, HostTensor(desc.shape, 1)},
                                        {g.find("loss_scale").id, HostTensor({1}, 1)}});
  for (size_t i = 0; i < 3; ++i) CHECK(values.at(grads[0].id)[i] == Approx(2.0 * 9 * 1.5 / 3).epsilon(1e-12));  // loss = sum((3 a)^2) / 3
}

TEST_CASE("integers pass no gradient on", "[graph][differentiate]") {
  Graph g;
  const Value w = g.state("w", {{2, 3}, DType::f32}, {.trainable = true});
  const Value largest = g.add1(ops::arg_reduce, {{"function", "argmax"}, {"axis", 1}, {"keepdims", 0}}, {w}, "largest");
  const Value row = g.add1(ops::one_hot, {{"depth", 3}}, {largest}, "row");
  const Value loss = g.add1(ops::reduce, {{"function", "sum"}, {"keepdims", 0}}, {g.add1(ops::binary, {{"function", "mul"}}, {w, row}, "chosen")}, "loss");
  const std::vector<Value> grads = differentiate(g, loss, std::vector<Value>{w});
  HostTensor x({2, 3});
  x.data = {1, 3, 2, -1, -3, -2};
  const auto values = run_reference(g, {{w.id, x}, {g.find("loss_scale").id, HostTensor(Shape{}, 1)}});
  CHECK(values.at(grads[0].id).data == std::vector<double>{0, 1, 0, 1, 0, 0});
}

TEST_CASE("nothing below the lowest trainable parameter is differentiated", "[graph][differentiate]") {
  SmallNet net = small_net();
  const size_t forward = net.graph.nodes().size();
  SECTION("the classifier alone: no gradient passes the pooling") {
    const std::vector<Value> head = {net.graph.find("classifier.weight"), net.graph.find("classifier.bias")};
    const std::vector<Value> grads = differentiate(net.graph, net.loss, head);
    CHECK(bool(grads[0]));
    CHECK(bool(grads[1]));
    CHECK(net.graph.nodes().size() - forward == 3);  // loss, weight, bias
    CHECK(count_nodes(net.graph, "linear_grad_weight") == 1);
    CHECK(count_nodes(net.graph, "linear_grad_input") == 0);
    CHECK(count_nodes(net.graph, "batch_norm_grad") == 0);
  }
  SECTION("everything: the stem needs no gradient of the images") {
    differentiate(net.graph, net.loss, trainable_states(net.graph));
    CHECK(count_nodes(net.graph, "conv2d_grad_filter") == 4);
    CHECK(count_nodes(net.graph, "conv2d_grad_input") == 3);
  }
  SECTION("what the loss does not depend on has no gradient") {
    const Value unused = net.graph.state("unused", {{3}, DType::f32}, {.trainable = true});
    const std::vector<Value> grads = differentiate(net.graph, net.loss, std::vector<Value>{unused});
    CHECK_FALSE(bool(grads[0]));
    CHECK(net.graph.nodes().size() == forward);
  }
}

TEST_CASE("only a loss of one element is differentiated", "[graph][differentiate]") {
  SmallNet net = small_net();
  CHECK_THROWS_WITH(differentiate(net.graph, net.logits, trainable_states(net.graph)),
                    contains("logits") && contains("one element"));
}
