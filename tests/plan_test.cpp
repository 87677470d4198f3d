// Memory plans keep what is still needed: a shadow of the arena remembers which value was written last to every word,
// and every node must find its inputs there. No device.
#include "graph/plan.h"

#include <algorithm>
#include <set>

#include "graph/ops/ops.h"
#include "models/registry.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/small_nets.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

class Shadow {
 public:
  Shadow(const Graph& g, const Plan& plan) : g_(g), plan_(plan) {
    for (size_t bytes : plan.block_bytes) blocks_.emplace_back((bytes + 3) / 4, kNothing);
    for (Value s : g.states()) in_state_[s.id] = s.id;
    for (size_t v = 0; v < g.values().size(); ++v)
      if (g.values()[v].role == Role::input && plan.values[v].block >= 0) mark(plan.values[v], int(v));
  }

  // The prologue's nodes once, then the others twice: a second run finds what the first one left.
  std::string run() {
    for (int pass = 0; pass < 3 && wrong_.empty(); ++pass) {
      for (const PlannedNode& n : plan_.nodes)
        if (n.prologue == (pass == 0)) run(n);
      if (pass) finish();
    }
    return wrong_;
  }

 private:
  static constexpr int kNothing = -1, kWorkspace = -2;

  void mark(const Placement& p, int owner) {
    auto& words = blocks_[size_t(p.block)];
    std::fill_n(words.begin() + std::ptrdiff_t(p.offset / 4), (p.bytes + 3) / 4, owner);
  }

  bool holds(const Placement& p, int owner) const {
    const auto& words = blocks_[size_t(p.block)];
    for (size_t i = 0; i < (p.bytes + 3) / 4; ++i)
      if (words[p.offset / 4 + i] != owner) return false;
    return true;
  }

  bool holds(Value v) const {
    const int state = g_.info(v).role == Role::state ? v.id : plan_.state_of[size_t(v.id)];
    if (state >= 0) return in_state_.at(state) == v.id;
    return plan_.values[size_t(v.id)].block >= 0 && holds(plan_.values[size_t(v.id)], v.id);
  }

  void write(Value v, const Node& node) {
    const Placement& p = plan_.values[size_t(v.id)];
    if (const int state = plan_.state_of[size_t(v.id)]; state >= 0) in_state_[state] = v.id;
    else if (p.block < 0) complain(node, "has no storage for its output", v);
    else mark(p, v.id);
  }

  void run(const PlannedNode& planned) {
    const Node& node = g_.nodes()[size_t(planned.node)];
    for (Value v : node.in)
      if (!holds(v)) complain(node, "reads a value that was overwritten", v);
    for (const Placement& w : planned.workspaces) mark(w, kWorkspace);
    for (Value v : node.in)
      if (!holds(v)) complain(node, "has a workspace over its input", v);
    for (Value v : node.out) write(v, node);
    for (Value v : node.out)
      if (wrong_.empty() && !holds(v)) complain(node, "has overlapping outputs", v);
    for (const Placement& w : planned.workspaces)
      if (!holds(w, kWorkspace)) complain(node, "has an output over a workspace", node.out[0]);
    for (size_t i = 0; i < node.in.size(); ++i)
      if (!holds(node.in[i]) && !written_in_place(node, i)) complain(node, "writes over its input", node.in[i]);
  }

  bool written_in_place(const Node& node, size_t input) const {
    for (auto [o, i] : in_place_of(node)) {
      if (size_t(i) != input) continue;
      const Value in = node.in[input], out = node.out[size_t(o)];
      const Placement &a = plan_.values[size_t(in.id)], &b = plan_.values[size_t(out.id)];
      const int state = plan_.state_of[size_t(out.id)];
      if (state >= 0 ? state == in.id : a.block == b.block && a.offset == b.offset && a.bytes == b.bytes) return true;
    }
    return false;
  }

  void finish() {
    for (size_t v = 0; v < g_.values().size(); ++v) {
      const ValueInfo& info = g_.values()[v];
      if ((info.output || info.role == Role::input) && plan_.values[v].block != -2 && info.role != Role::state &&
          !holds(Value{int(v)}))
        wrong_ = "'" + info.name + "' did not survive the run";
    }
    for (auto& [state, value] : in_state_) value = state;
  }

  void complain(const Node& node, const std::string& what, Value v) {
    if (wrong_.empty()) wrong_ = "'" + node.label + "' " + what + " '" + g_.info(v).name + "'";
  }

  const Graph& g_;
  const Plan& plan_;
  std::vector<std::vector<int>> blocks_;  // owner of every 32-bit word
  std::map<int, int> in_state_;           // state -> value that its storage holds
  std::string wrong_;
};

void check_plan(const Graph& g, const Plan& plan, const PlanOptions& options) {
  CHECK(Shadow(g, plan).run() == "");
  bool aligned = true, inside = true;
  auto check = [&](const Placement& p) {
    if (p.block < 0) return;
    aligned = aligned && p.offset % plan.target.storage_alignment == 0;
    inside = inside && p.offset + p.bytes + options.guard_bytes <= plan.block_bytes.at(size_t(p.block));
  };
  for (const Placement& p : plan.values) check(p);
  for (const PlannedNode& n : plan.nodes)
    for (const Placement& w : n.workspaces) check(w);
  CHECK(aligned);
  CHECK(inside);
  for (size_t bytes : plan.block_bytes) CHECK(bytes <= options.max_block_bytes);
}

const std::vector<PlanOptions>& all_options() {
  static const std::vector<PlanOptions> all = {
      {}, {.reuse = false}, {.reuse = false, .guard_bytes = 64}, {.max_block_bytes = 1 << 20}};
  return all;
}

// A random chain of ops over values of one shape, with batch norm statistics, shortcuts and values that die early.
Graph random_graph(uint64_t seed) {
  Numbers numbers("graph " + std::to_string(seed));
  Graph g;
  const TensorDesc desc{{2, 4, 4, 8}, DType::f32}, channels{{8}, DType::f32};
  std::vector<Value> values = {g.input("a", desc), g.input("b", desc)};
  auto any = [&] { return values[values.size() - 1 - numbers.bits() % std::min<size_t>(values.size(), 5)]; };
  const int nodes = int(numbers.integer(1, 30));
  for (int n = 0; n < nodes; ++n) {
    const std::string name = "n" + std::to_string(n);
    switch (numbers.bits() % 6) {
      case 0: values.push_back(g.add1(ops::relu, {}, {any()}, name)); break;
      case 1: values.push_back(g.add1(ops::add, {}, {any(), any()}, name)); break;
      case 2: values.push_back(g.add1(ops::mul, {}, {any(), any()}, name)); break;
      case 3: {
        const Value filter = g.state(name + ".w", {{3, 3, 8, 8}, DType::f32});
        values.push_back(g.add1(ops::conv2d, {{"pad", std::vector<int64_t>{1, 1, 1, 1}}}, {any(), filter}, name));
        break;
      }
      case 4: {
        const Value mean = g.state(name + ".m", channels), var = g.state(name + ".v", channels);
        const auto out =
            g.add(ops::batch_norm, {},
                  {any(), g.state(name + ".g", channels), g.state(name + ".b", channels), mean, var}, name);
        if (numbers.bits() % 2) g.update(mean, out[3]), g.update(var, out[4]);
        values.push_back(out[0]);
        break;
      }
      default: values.push_back(g.add1(ops::relu, {}, {g.state(name + ".s", desc)}, name)); break;  // the prologue's
    }
    if (numbers.bits() % 8 == 0) g.output(values.back());
  }
  g.output(values.back());
  return g;
}

Graph training_graph(const ModelInfo& model) {
  SmallNet net;
  Graph& g = net.graph;
  net.images = g.input("images", {{4, 48, 48, 3}, DType::f32});
  const BuiltModel built =
      build_model(model, g, net.images, g.input("step", {{5}, DType::i32}), {.training = true, .batch = 4});
  fuse_for_training(g);
  net.labels = g.input("labels", {{4}, DType::i32});
  net.class_weights = g.input("class_weights", {{7}, DType::f32});
  net.loss = g.add(ops::softmax_cross_entropy, {}, {built.logits, net.labels, net.class_weights}, "loss")[0];
  g.output(net.loss, "loss");
  add_training(net, false);
  return g;
}

Graph inference_graph(const ModelInfo& model) {
  Graph g;
  const Value images = g.input("images", {{4, 48, 48, 3}, DType::f32});
  const BuiltModel built = build_model(model, g, images, Value{}, {.batch = 4});
  fuse_for_inference(g);
  g.output(built.logits, "logits");
  return g;
}

}  // namespace

TEST_CASE("plans of random graphs overwrite nothing that is needed", "[plan]") {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    const Graph g = random_graph(seed);
    for (const PlanOptions& options : all_options()) {
      INFO("seed " << seed << " reuse " << options.reuse << " guard " << options.guard_bytes << "\n" << g.to_string());
      check_plan(g, make_plan(g, Target{}, options), options);
    }
  }
}

TEST_CASE("plans of the models overwrite nothing that is needed", "[plan]") {
  for (const ModelInfo* model : all_models()) {
    DYNAMIC_SECTION(model->name) {
      for (const Graph& g : {training_graph(*model), inference_graph(*model)}) {
        const PlanOptions reuse, separate{.reuse = false};
        const Plan plan = make_plan(g, Target{}, reuse);
        check_plan(g, plan, reuse);
        CHECK(plan.arena_bytes() < make_plan(g, Target{}, separate).arena_bytes());
      }
    }
  }
}

TEST_CASE("guards lie between all tensors", "[plan]") {
  const SmallNet net = small_net();
  const PlanOptions options{.reuse = false, .guard_bytes = 64};
  const Plan plan = make_plan(net.graph, Target{}, options);
  std::vector<std::array<size_t, 3>> ranges;  // block, begin, end with guard
  auto add = [&](const Placement& p) {
    if (p.block >= 0) ranges.push_back({size_t(p.block), p.offset, p.offset + p.bytes + options.guard_bytes});
  };
  for (const Placement& p : plan.values) add(p);
  for (const PlannedNode& n : plan.nodes)
    for (const Placement& w : n.workspaces) add(w);
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i)
    CHECK((ranges[i][0] != ranges[i - 1][0] || ranges[i][1] >= ranges[i - 1][2]));
}

TEST_CASE("nodes that nothing kept depends on are not planned", "[plan]") {
  Graph g;
  const Value x = g.input("x", {{1, 2, 2, 4}, DType::f32});
  const Value dead = g.add1(ops::relu, {}, {x}, "dead");
  g.output(g.add1(ops::relu6, {}, {x}, "alive"));
  const Plan plan = make_plan(g, Target{});
  REQUIRE(plan.nodes.size() == 1);
  CHECK(g.nodes()[size_t(plan.nodes[0].node)].label == "alive");
  CHECK(plan.values[size_t(dead.id)].block == -2);
}

TEST_CASE("what depends on constant states alone is the prologue", "[plan]") {
  SmallNet net = small_net({.training = false});
  fuse_for_inference(net.graph);
  const Plan plan = make_plan(net.graph, Target{});
  std::set<std::string_view> prologue, main;
  for (const PlannedNode& n : plan.nodes)
    (n.prologue ? prologue : main).insert(net.graph.nodes()[size_t(n.node)].op->name);
  CHECK(prologue.count("fold_filter") == 1);
  CHECK(prologue.count("fold_bias") == 1);
  CHECK(prologue.count("conv2d") == 0);
  CHECK(main.count("fold_filter") == 0);
  SECTION("but not when this graph updates one of them") {
    Graph g;
    const TensorDesc desc{{4}, DType::f32};
    const Value p = g.state("p", desc), v = g.state("v", desc), grad = g.input("grad", desc),
                hyper = g.input("hyper", {{8}, DType::f32});
    const Value read = g.add1(ops::relu, {}, {p}, "read");
    g.output(read);
    const auto out = g.add(ops::sgd, {}, {p, grad, v, hyper}, "sgd");
    g.update(p, out[0]);
    g.update(v, out[1]);
    for (const PlannedNode& n : make_plan(g, Target{}).nodes) CHECK_FALSE(n.prologue);
  }
}

TEST_CASE("a state read after its update is refused", "[plan]") {
  Graph g;
  const TensorDesc desc{{4}, DType::f32};
  const Value p = g.state("p", desc), v = g.state("v", desc), grad = g.input("grad", desc),
              hyper = g.input("hyper", {{8}, DType::f32});
  const auto out = g.add(ops::sgd, {}, {p, grad, v, hyper}, "sgd");
  g.update(p, out[0]);
  g.update(v, out[1]);
  g.output(g.add1(ops::relu, {}, {p}, "late"));
  CHECK_THROWS_WITH(make_plan(g, Target{}), contains("'p'") && contains("after its update"));
}

TEST_CASE("packed tensors lie side by side, and in one way only", "[plan]") {
  Graph g;
  std::vector<Value> p, grad, v;
  for (int i = 0; i < 3; ++i) {
    const TensorDesc desc{{5 + 40 * i}, DType::f32};
    p.push_back(g.state(fmt::format("p{}", i), desc));
    v.push_back(g.state(fmt::format("v{}", i), desc));
    grad.push_back(g.add1(ops::scale, {{"factor", 2.0}}, {g.input(fmt::format("x{}", i), desc)}, fmt::format("grad{}", i)));
  }
  const Value hyper = g.input("hyper", {{8}, DType::f32});
  const auto add_sgd = [&](std::array<int, 3> order, const std::string& label) {
    std::vector<Value> in;
    for (const auto* kind : {&p, &grad, &v})
      for (int i : order) in.push_back((*kind)[size_t(i)]);
    in.push_back(hyper);
    return g.add(ops::sgd, {{"tensors", 3}}, in, label);
  };
  const auto out = add_sgd({0, 1, 2}, "sgd");
  SECTION("as the layout says") {
    for (size_t i = 0; i < 3; ++i) g.update(p[i], out[i]), g.update(v[i], out[3 + i]);
    const Target target;
    const Plan plan = make_plan(g, target);
    std::vector<TensorDesc> descs;
    for (Value x : p) descs.push_back(g.desc(x));
    const PackLayout layout = pack_layout(descs, target);
    CHECK(layout.offsets == std::vector<size_t>{0, 256, 512});
    REQUIRE(plan.state_packs.size() == 2);
    CHECK(plan.state_packs[0].values == std::vector<int>{p[0].id, p[1].id, p[2].id});
    CHECK(plan.state_packs[1].values == std::vector<int>{v[0].id, v[1].id, v[2].id});
    CHECK(plan.state_packs[0].layout.offsets == layout.offsets);
    const Placement& first = plan.values[size_t(grad[0].id)];
    for (size_t i = 0; i < 3; ++i) {
      CHECK(plan.values[size_t(grad[i].id)].block == first.block);
      CHECK(plan.values[size_t(grad[i].id)].offset == first.offset + layout.offsets[i]);
    }
    CHECK(plan.nodes.back().lowered.dispatches.size() == 1);
    CHECK(Shadow(g, plan).run() == "");
  }
  SECTION("an update of some of them alone is refused") {
    g.update(p[1], out[1]);
    for (Value x : out) g.output(x);
    CHECK_THROWS_WITH(make_plan(g, Target{}), contains("partly states"));
  }
  SECTION("another order elsewhere is refused") {
    for (Value x : out) g.output(x);
    for (Value x : add_sgd({0, 2, 1}, "other")) g.output(x);
    CHECK_THROWS_WITH(make_plan(g, Target{}), contains("'other'") && contains("another pack"));
  }
}

TEST_CASE("a tensor beyond the largest block is refused", "[plan]") {
  Graph g;
  g.output(g.add1(ops::relu, {}, {g.input("x", {{8, 64, 64, 64}, DType::f32})}, "big"));
  CHECK_THROWS_WITH(make_plan(g, Target{}, {.max_block_bytes = 1 << 20}), contains("[plan]") && contains("Fix:"));
}

TEST_CASE("a plan's signature changes with what changes a sum, and with nothing else", "[plan]") {
  const SmallNet net = small_net(), again = small_net();
  const Target target;
  const std::string signature = make_plan(net.graph, target).signature();
  CHECK(make_plan(again.graph, target).signature() == signature);
  CHECK(make_plan(net.graph, target, {.reuse = false}).signature() == signature);
  auto changed = [&](auto change) {
    Target other = target;
    change(other);
    CHECK(other.to_string() != target.to_string());
    return make_plan(net.graph, other).signature() != signature;
  };
  CHECK(changed([](Target& t) { t.engine = Engine::direct; }));
  CHECK(changed([](Target& t) { t.subgroup_size = 16; }));
  CHECK(changed([](Target& t) { t.parallel_groups = 1; }));
  CHECK(changed([](Target& t) { t.workgroup = 128; }));
  CHECK(make_plan(small_net({.batch = 3}).graph, target).signature() != signature);
}
