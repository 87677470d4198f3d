// Rewrites keep every result and shorten the graph. No device.
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

size_t count_nodes(const Graph& g, std::string_view op) {
  return size_t(std::count_if(g.nodes().begin(), g.nodes().end(), [&](const Node& n) { return n.op->name == op; }));
}

double difference(const HostTensor& a, const HostTensor& b) {
  REQUIRE(a.shape == b.shape);
  HostTensor d(a.shape);
  for (size_t i = 0; i < a.data.size(); ++i) d[i] = a[i] - b[i];
  return norm(d) / norm(b);
}

// Every output and every updated state of `before` has the same value in `after`.
void check_same(const Graph& before, const Graph& after) {
  const auto old_values = run_reference(before, random_values(before, "fuse"));
  const auto new_values = run_reference(after, random_values(after, "fuse"));
  for (size_t v = 0; v < before.values().size(); ++v) {
    if (!before.values()[v].output) continue;
    INFO(before.values()[v].name);
    CHECK(difference(new_values.at(int(v)), old_values.at(int(v))) < 1e-12);
  }
  REQUIRE(before.updates().size() == after.updates().size());
  for (const Update& old_update : before.updates()) {
    INFO("state " << before.info(old_update.state).name);
    auto same = std::find_if(after.updates().begin(), after.updates().end(),
                             [&](const Update& u) { return u.state == old_update.state; });
    REQUIRE(same != after.updates().end());
    CHECK(difference(new_values.at(same->value.id), old_values.at(old_update.value.id)) < 1e-12);
  }
}

}  // namespace

TEST_CASE("fusing for training keeps outputs and running statistics", "[graph][fuse]") {
  const std::string activation = GENERATE("relu", "relu6", "silu", "hardswish");
  const SmallNet net = small_net({.activation = activation});
  Graph fused = net.graph;
  fuse_for_training(fused);
  INFO(activation);
  check_same(net.graph, fused);
  CHECK(fused.nodes().size() + 5 == net.graph.nodes().size());  // 4 activations and the addition of the shortcut
  CHECK(count_nodes(fused, "batch_norm") == 4);
  CHECK(count_nodes(fused, "add") == 0);
  CHECK(count_nodes(fused, activation) == 0);
}

TEST_CASE("fused and unfused networks have the same gradients", "[graph][fuse]") {
  SmallNet plain = small_net({.activation = "relu6"}), fused = plain;
  fuse_for_training(fused.graph);
  std::vector<Value> wrt;
  for (Value s : plain.graph.states())
    if (plain.graph.info(s).state.trainable) wrt.push_back(s);
  const std::vector<Value> a = differentiate(plain.graph, plain.loss, wrt),
                           b = differentiate(fused.graph, fused.loss, wrt);
  const auto va = run_reference(plain.graph, random_values(plain.graph, "g")),
             vb = run_reference(fused.graph, random_values(fused.graph, "g"));
  for (size_t i = 0; i < wrt.size(); ++i) {
    INFO(plain.graph.info(wrt[i]).name);
    CHECK(difference(vb.at(b[i].id), va.at(a[i].id)) < 1e-10);
  }
}

TEST_CASE("fusing for inference folds batch norm, activation and shortcut into convolutions", "[graph][fuse]") {
  const std::string activation = GENERATE("relu", "relu6", "silu", "hardswish");
  const SmallNet net = small_net({.training = false, .activation = activation});
  Graph fused = net.graph;
  fuse_for_inference(fused);
  INFO(activation);
  check_same(net.graph, fused);
  CHECK(count_nodes(fused, "batch_norm_eval") == 0);
  CHECK(count_nodes(fused, "add") == 0);
  CHECK(count_nodes(fused, activation) == 0);
  CHECK(count_nodes(fused, "conv2d") == 4);
}

TEST_CASE("a value that somebody else needs is not fused away", "[graph][fuse]") {
  SmallNet net = small_net({.training = false});
  const Value inner = net.graph.nodes()[1].out[0];  // stem.norm, before its activation
  REQUIRE(net.graph.nodes()[1].op->name == "batch_norm_eval");
  SECTION("an output") { net.graph.output(inner, "inner"); }
  SECTION("a second user") { net.graph.output(net.graph.add1(ops::sigmoid, {}, {inner}, "second"), "second"); }
  Graph fused = net.graph;
  fuse_for_inference(fused);
  check_same(net.graph, fused);
}

TEST_CASE("training rewrites leave needed values alone", "[graph][fuse]") {
  SmallNet net = small_net();
  REQUIRE(net.graph.nodes()[1].op->name == "batch_norm");
  const Value inner = net.graph.nodes()[1].out[0];
  SECTION("an output") { net.graph.output(inner, "inner"); }
  SECTION("a second user") { net.graph.output(net.graph.add1(ops::sigmoid, {}, {inner}, "second"), "second"); }
  Graph fused = net.graph;
  fuse_for_training(fused);
  check_same(net.graph, fused);
}

TEST_CASE("what no gradient passes through is fused as for inference in a training graph", "[graph][fuse]") {
  SmallNet net = small_net({.training = false, .activation = "relu"});
  for (Value v : net.graph.states()) net.graph.set_trainable(v, net.graph.info(v).name.starts_with("classifier"));
  REQUIRE(net.graph.find("classifier.weight"));
  Graph fused = net.graph;
  fuse_for_training(fused);
  check_same(net.graph, fused);
  CHECK(count_nodes(fused, "batch_norm_eval") == 0);
  CHECK(count_nodes(fused, "fold_filter") == 4);
  // One trainable norm in the middle: what comes before it is folded, what comes after it is not.
  Graph half = net.graph;
  const Value gamma = half.find(net.graph.info(net.graph.nodes()[1].in[1]).name);
  half.set_trainable(gamma, true);
  Graph half_fused = half;
  fuse_for_training(half_fused);
  check_same(half, half_fused);
  CHECK(count_nodes(half_fused, "fold_filter") == 0);
}
