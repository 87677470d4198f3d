// Building and checking graphs: no device.
#include "graph/graph.h"

#include "graph/op.h"
#include "graph/ops/ops.h"
#include "graph/reference.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/small_nets.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {
const TensorDesc kImages{{1, 7, 7, 48}, DType::f32};
}

TEST_CASE("a shape error names the op, the node and the fix", "[graph]") {
  Graph g;
  const Value x = g.input("x", kImages), filter = g.input("filter", {{3, 3, 2, 48}, DType::f32});
  CHECK_THROWS_WITH(g.add(ops::conv2d, {{"groups", 32}}, {x, filter}, "features.3.conv.0"),
                    contains("[conv2d]") && contains("features.3.conv.0") && contains("Fix:"));
  const Value other = g.input("other", {{1, 7, 7, 47}, DType::f32});
  CHECK_THROWS_WITH(g.add(ops::add, {}, {x, other}, "block.add"),
                    contains("block.add") && contains("1x7x7x47") && contains("Fix:"));
  CHECK(g.nodes().empty());
}

TEST_CASE("every op refuses a wrong number of inputs by name", "[graph]") {
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    Graph g;
    try {
      g.add(*op, {}, {}, "lonely");
      FAIL_CHECK("accepted no inputs at all");
    } catch (const Error& e) {
      CHECK(std::string(e.what()).find("lonely") != std::string::npos);
    }
  }
}

TEST_CASE("values of another graph are refused", "[graph]") {
  Graph g;
  g.input("x", kImages);
  CHECK_THROWS_AS(g.add(ops::relu, {}, {Value{5}}, "r"), Error);
  CHECK_THROWS_AS(g.add(ops::relu, {}, {Value{}}, "r"), Error);
}

TEST_CASE("names and labels stay unique", "[graph]") {
  Graph g;
  const Value x = g.input("x", kImages);
  CHECK_THROWS_WITH(g.input("x", kImages), contains("x"));
  g.add(ops::relu, {}, {x}, "act");
  g.add(ops::relu, {}, {x}, "act");
  CHECK(g.nodes()[0].label == "act");
  CHECK(g.nodes()[1].label != "act");
}

TEST_CASE("a state is one value under its name", "[graph]") {
  Graph g;
  const Value a = g.state("w", {{4}, DType::f32});
  CHECK(g.state("w", {{4}, DType::f32}) == a);
  CHECK_THROWS_WITH(g.state("w", {{5}, DType::f32}), contains("'w'"));
  CHECK(g.find("w") == a);
  CHECK_FALSE(bool(g.find("absent")));
}

TEST_CASE("a state is updated only by an op that may write over it", "[graph]") {
  Graph g;
  const Value w = g.state("w", {{1, 2, 2, 4}, DType::f32}), x = g.input("x", {{1, 2, 2, 4}, DType::f32});
  const Value pooled = g.add1(ops::global_avg_pool, {}, {w}, "pool");
  CHECK_THROWS_AS(g.update(w, pooled), Error);
  CHECK_THROWS_AS(g.update(x, pooled), Error);
  const Value softmaxed = g.add1(ops::softmax, {}, {g.add1(ops::flatten, {}, {w}, "flat")}, "softmax");
  CHECK_THROWS_AS(g.update(w, softmaxed), Error);
}

TEST_CASE("rewrites keep single assignment and order", "[graph]") {
  Graph g;
  const Value x = g.input("x", kImages);
  const Value a = g.add1(ops::relu, {}, {x}, "a");
  g.add1(ops::relu6, {}, {a}, "b");
  std::vector<Node> nodes = g.nodes();
  SECTION("a value read before it is written") {
    std::swap(nodes[0], nodes[1]);
    CHECK_THROWS_WITH(g.replace_nodes(nodes), contains("before"));
  }
  SECTION("a value written twice") {
    nodes.push_back(nodes[0]);
    CHECK_THROWS_WITH(g.replace_nodes(nodes), contains("twice"));
  }
  SECTION("the same nodes") {
    g.replace_nodes(nodes);
    CHECK(g.nodes().size() == 2);
    CHECK(g.info(a).producer == 0);
  }
}

TEST_CASE("the reference checks what it is given", "[graph]") {
  SmallNet net = small_net();
  std::map<int, HostTensor> values = random_values(net.graph, "given");
  CHECK_NOTHROW(run_reference(net.graph, values));
  SECTION("a missing input") {
    values.erase(net.images.id);
    CHECK_THROWS_WITH(run_reference(net.graph, values), contains("images"));
  }
  SECTION("a wrong shape") {
    values[net.images.id] = HostTensor({1, 7, 6, 3});
    CHECK_THROWS_WITH(run_reference(net.graph, values), contains("images") && contains("1x7x6x3"));
  }
}

TEST_CASE("attributes are typed", "[graph]") {
  const Attrs attrs = {{"stride", std::vector<int64_t>{2, 1}}, {"eps", 1e-5}, {"groups", 3}, {"mode", "keras"}};
  CHECK(attrs.integers("stride", {1, 1}) == std::vector<int64_t>{2, 1});
  CHECK(attrs.integers("pad", {0, 0}) == std::vector<int64_t>{0, 0});
  CHECK(attrs.number("groups") == 3);
  CHECK(attrs.number("eps", 1) == 1e-5);
  CHECK(attrs.text("mode", "") == "keras");
  CHECK_THROWS_AS(attrs.integer("absent"), Error);
  CHECK_THROWS_AS(attrs.integer("eps"), Error);
  CHECK_THROWS_AS(attrs.integer("mode", 1), Error);
  CHECK(attrs.to_string().find("stride=2,1") != std::string::npos);
}
