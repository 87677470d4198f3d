// Single ops and blocks against PyTorch (tests/fixtures/record_ops.py): the reference in double, then the device.
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "graph/reference.h"
#include "models/inverted_residual.h"
#include "models/weights/transfer.h"
#include "tests/catch.h"
#include "tests/fixture.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tools/train/optimizers.h"

using namespace vkfer;
using nlohmann::json;

namespace {

using Integers = std::vector<int64_t>;
using Build = std::function<Value(Graph&, Layers&, Value x)>;

constexpr double kMean = 0.25, kVar = 1.5;  // record_ops.py: BN_MEAN, BN_VAR

// ---- the cases of record_ops.py, by their names -----------------------------------------------------------------------

struct Row {
  const char* name;
  Build build;
  bool frozen = false;
};

Build conv(int64_t co, int64_t r, int64_t s, Attrs attrs) {
  return [=](Graph& g, Layers&, Value x) {
    const int64_t ci = g.shape(x).c() / attrs.integer("groups", 1);
    std::vector<Value> in = {x, g.state("conv.weight", {{r, s, ci, co}}, {.layout = Layout::filter, .trainable = true})};
    if (attrs.integer("bias", 0)) in.push_back(g.state("conv.bias", {{co}}, {.trainable = true}));
    return g.add1(ops::conv2d, attrs, in, "conv");
  };
}
Build one(const OpDef& op, Attrs attrs = {}) {
  return [&op, attrs](Graph& g, Layers&, Value x) { return g.add1(op, attrs, {x}, "op"); };
}
Build norm() {
  return [](Graph&, Layers& l, Value x) { return l.batch_norm("bn", x); };
}
Build block(int out, int stride, int expansion) {
  return [=](Graph&, Layers& l, Value x) {
    const InvertedResidualNames first = {"", "", "0", "1", "3", "4"}, names = {"0", "1", "3", "4", "6", "7"};
    return inverted_residual(l, "block.", expansion == 1 ? first : names, x, {.expansion = expansion, .out = out, .stride = stride, .init = "zeros"});
  };
}
Value flatten_linear(Graph& g, Layers& l, Value x) {
  const Shape s = g.shape(x);
  return l.linear("linear", l.flatten("flatten", x), 6, "zeros", "zeros", {s.h(), s.w(), s.c()});
}
Value squeeze_excitation(Graph& g, Layers& l, Value x) {
  const Shape s = g.shape(x);
  Value pooled = g.add1(ops::reshape, {{"shape", Integers{s.n(), 1, 1, s.c()}}}, {l.global_avg_pool("pool", x)}, "reshape");
  Value scale = g.add1(ops::sigmoid, {}, {l.conv("conv", pooled, {.out = int(s.c()), .kernel = 1, .bias = true})}, "sigmoid");
  return g.add1(ops::mul, {}, {x, scale}, "mul");
}
Attrs pooling(int64_t kernel, int64_t stride, int64_t pad) {
  return {{"kernel", Integers(2, kernel)}, {"stride", Integers(2, stride)}, {"pad", Integers(4, pad)}};
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"conv 3x3 stride 2 groups 2 bias", conv(8, 3, 3, {{"stride", Integers{2, 2}}, {"pad", Integers(4, 1)}, {"groups", 2}, {"bias", 1}})},
      {"conv 3x3 dilation 2", conv(7, 3, 3, {{"pad", Integers(4, 2)}, {"dilation", Integers{2, 2}}})},
      {"conv 5x3 stride 1x2", conv(6, 5, 3, {{"stride", Integers{1, 2}}, {"pad", Integers{2, 0, 2, 0}}, {"bias", 1}})},
      {"conv 1x1", conv(32, 1, 1, {})},
      {"conv asymmetric pad", conv(8, 3, 3, {{"stride", Integers{2, 2}}, {"pad", Integers{0, 0, 1, 1}}})},
      {"depthwise stride 1", conv(20, 3, 3, {{"pad", Integers(4, 1)}, {"groups", 20}})},
      {"depthwise stride 2", conv(16, 3, 3, {{"stride", Integers{2, 2}}, {"pad", Integers(4, 1)}, {"groups", 16}})},
      {"linear", [](Graph&, Layers& l, Value x) { return l.linear("linear", x, 7); }},
      {"flatten, linear", flatten_linear},
      {"batch norm, training", norm()},
      {"batch norm, running", norm(), true},
      {"relu", one(ops::relu)},
      {"relu6", one(ops::relu6)},
      {"silu", one(ops::silu)},
      {"sigmoid", one(ops::sigmoid)},
      {"hardswish", one(ops::hardswish)},
      {"max pool 3 stride 2 pad 1", one(ops::max_pool, pooling(3, 2, 1))},
      {"max pool 2 ceil", one(ops::max_pool, pooling(2, 2, 0).set("ceil_mode", 1))},
      {"avg pool 3 stride 2 pad 1", one(ops::avg_pool, pooling(3, 2, 1))},
      {"avg pool, pad not counted", one(ops::avg_pool, pooling(3, 2, 1).set("count_include_pad", 0))},
      {"avg pool 2 ceil", one(ops::avg_pool, pooling(2, 2, 0).set("ceil_mode", 1))},
      {"adaptive avg pool, larger map", one(ops::adaptive_avg_pool, {{"size", Integers{7, 7}}})},
      {"adaptive avg pool, smaller map", one(ops::adaptive_avg_pool, {{"size", Integers{7, 7}}})},
      {"global avg pool", one(ops::global_avg_pool)},
      {"global max pool", one(ops::global_max_pool)},
      {"squeeze-excitation", squeeze_excitation},
      {"squeeze-excitation, two layers", [](Graph&, Layers& l, Value x) { return l.squeeze_excite("se", x, 4, "zeros"); }},
      {"squeeze-excitation, odd channels", [](Graph&, Layers& l, Value x) { return l.squeeze_excite("se", x, 3, "zeros"); }},
      {"block with shortcut", block(16, 1, 6)},
      {"block with stride", block(24, 2, 6)},
      {"block without expansion", block(16, 1, 1)},
      {"block with shortcut, running", block(16, 1, 6), true},
      {"block with stride, running", block(24, 2, 6), true},
  };
  return all;
}

// ---- running a graph on the reference or on the device ------------------------------------------------------------------

// Rank 4: [n,c,h,w] <-> [n,h,w,c]; the rest stays.
template <class T>
std::vector<T> permuted(const std::vector<T>& v, const Shape& nhwc, bool to_nhwc) {
  if (nhwc.rank() != 4) return v;
  std::vector<T> out(v.size());
  const int64_t pixels = nhwc.h() * nhwc.w(), c = nhwc.c();
  for (int64_t n = 0; n < nhwc.n(); ++n)
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t k = 0; k < c; ++k) {
        const auto torch = size_t((n * c + k) * pixels + p), device = size_t((n * pixels + p) * c + k);
        out[to_nhwc ? device : torch] = v[to_nhwc ? torch : device];
      }
  return out;
}

Shape nhwc(const Integers& torch) { return torch.size() == 4 ? Shape{torch[0], torch[2], torch[3], torch[1]} : Shape(torch); }

// What the host gives a graph: inputs and states by value id, in device order.
using Given = std::map<int, std::vector<float>>;
// What is wanted of it, by the recorded name: the value whose result it is, and the value whose layout it has.
struct Wanted {
  std::string name;
  Value value, like;
};

std::vector<std::vector<double>> on_reference(const Graph& graph, const Given& given, const std::vector<Wanted>& wanted) {
  std::map<int, HostTensor> tensors;
  for (const auto& [id, values] : given) {
    HostTensor t(graph.shape(Value{id}));
    t.data.assign(values.begin(), values.end());
    tensors[id] = std::move(t);
  }
  const auto results = run_reference(graph, std::move(tensors));
  std::vector<std::vector<double>> out;
  for (const Wanted& w : wanted) out.push_back(results.at(w.value.id).data);
  return out;
}

void write(Executor& executor, const Graph& graph, Value v, const std::vector<float>& values) {
  if (graph.desc(v).dtype == DType::i32)
    executor.write(v, std::vector<int32_t>(values.begin(), values.end()));
  else
    executor.write(v, values);
}

std::vector<std::vector<double>> on_device(const Graph& graph, const Given& given, const std::vector<Wanted>& wanted) {
  Device& device = test::test_device();
  States states(device);
  Graph own = graph;
  auto state_of = [&](Value v) {  // the state in which a value ends up
    for (const Update& u : graph.updates())
      if (u.value == v) return u.state;
    return graph.info(v).role == Role::state ? v : Value{};
  };
  for (const Wanted& w : wanted)
    if (!state_of(w.value)) own.output(w.value);
  Plan plan = make_plan(own, target_for(device.info()));
  Executor executor(device, own, std::move(plan), states);
  executor.poison();
  for (const auto& [id, values] : given) {
    const ValueInfo& info = graph.info(Value{id});
    if (info.role == Role::state)
      states.write(info.name, values);
    else
      write(executor, graph, Value{id}, values);
  }
  executor.run();
  std::vector<std::vector<double>> out;
  for (const Wanted& w : wanted) {
    const Value state = state_of(w.value);
    const auto values = state ? states.read(graph.info(state).name) : executor.read(w.value);
    out.emplace_back(values.begin(), values.end());
  }
  return out;
}

// Results to torch's order, measured against what was recorded.
void compare(const json& recorded, const Graph& graph, const std::vector<Wanted>& wanted, std::vector<std::vector<double>> results,
             double value_limit, double gradient_limit) {
  CHECK(recorded.size() == wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ValueInfo& like = graph.info(wanted[i].like);
    if (like.role == Role::state && like.state.layout != Layout::plain) {
      std::vector<float> order(results[i].size());  // positions fit a float exactly: the tensors are small
      for (size_t k = 0; k < order.size(); ++k) order[k] = float(k);
      const auto torch = to_torch(like, order);
      const auto device = results[i];
      for (size_t k = 0; k < torch.size(); ++k) results[i][k] = device[size_t(torch[k])];
    } else {
      results[i] = permuted(results[i], like.desc.shape, false);
    }
    const auto m = fixture::measure(recorded.at(wanted[i].name), wanted[i].name, std::span<const double>(results[i]));
    INFO(m.text);
    CHECK(m.error <= (wanted[i].name.starts_with("grad.") ? gradient_limit : value_limit));
  }
}

void compare_both(const json& recorded, const Graph& graph, const Given& given, const std::vector<Wanted>& wanted) {
  {
    INFO("reference");
    compare(recorded, graph, wanted, on_reference(graph, given, wanted), 1e-8, 1e-8);
  }
  INFO("device");
  compare(recorded, graph, wanted, on_device(graph, given, wanted), 1e-5, 1e-4);
}

std::vector<float> state_value(const ValueInfo& info) {
  // "block.0.weight" of a block, "conv.weight" of an op: torch's names.
  const int64_t n = info.desc.elements();
  if (info.name == "loss_scale") return {1.0f};
  if (info.name.ends_with("running_mean")) return fixture::running_mean(info.name, n, kMean, kVar);
  if (info.name.ends_with("running_var")) return fixture::running_var(info.name, n, kVar);
  return from_torch(info, fixture::parameter(info.name, torch_shape(info)));
}

}  // namespace

TEST_CASE("ops and blocks equal PyTorch's", "[torch][device]") {
  const json recorded = fixture::load("ops.json").at("cases");
  CHECK(recorded.size() == rows().size());
  for (const Row& row : rows()) {
    DYNAMIC_SECTION(row.name) {
      const json& fixture = recorded.at(row.name);
      Graph graph;
      const ModelOptions options{.training = true, .stochastic = false, .frozen_batch_norm = row.frozen};
      Layers layers(graph, options, {});
      const Shape in = nhwc(fixture.at("x").get<Integers>()), out = nhwc(fixture.at("y").get<Integers>());
      Value x = graph.input("x", {in});
      Value y = row.build(graph, layers, x);
      REQUIRE(graph.shape(y) == out);
      Value flat = out.rank() == 4 ? graph.add1(ops::flatten, {}, {y}, "flat") : y;
      Value target = graph.input("target", graph.desc(flat)), mask = graph.input("mask", graph.desc(flat));
      Value loss = graph.add1(ops::mse, {}, {flat, target, mask}, "loss");

      std::vector<Value> wrt = {x};
      std::vector<Wanted> wanted = {{"y", y, y}, {"loss", loss, loss}};
      for (Value v : graph.states())
        if (graph.info(v).state.trainable) wrt.push_back(v);
      for (const Update& u : graph.updates()) wanted.push_back({"buffer." + graph.info(u.state).name, u.value, u.state});
      if (row.frozen)
        for (Value v : graph.states())
          if (!graph.info(v).state.trainable) wanted.push_back({"buffer." + graph.info(v).name, v, v});
      const auto gradients = differentiate(graph, loss, wrt);
      for (size_t i = 0; i < wrt.size(); ++i) {
        REQUIRE(gradients[i]);
        wanted.push_back({"grad." + graph.info(wrt[i]).name, gradients[i], wrt[i]});
      }

      Given given;
      given[x.id] = permuted(fixture::tensor("x", in.elements(), fixture.at("scale")), in, true);
      given[target.id] = permuted(fixture::tensor("target", out.elements()), out, true);
      given[mask.id] = std::vector<float>(size_t(out.elements()), 1.0f);
      for (Value v : graph.states()) given[v.id] = state_value(graph.info(v));
      compare_both(fixture.at("quantities"), graph, given, wanted);
    }
  }
}

TEST_CASE("losses equal PyTorch's", "[torch][device]") {
  const json recorded = fixture::load("ops.json").at("losses");
  struct LossRow {
    const char* name;
    Attrs attrs;
    bool weighted;
  };
  const LossRow losses[] = {{"cross-entropy", {}, false},
                            {"cross-entropy, weights", {}, true},
                            {"cross-entropy, smoothing", {{"label_smoothing", 0.1}}, false},
                            {"cross-entropy, focal", {{"focal_gamma", 2.0}}, true}};
  constexpr int64_t kRows = 13, kClasses = 7;
  for (const LossRow& row : losses) {
    DYNAMIC_SECTION(row.name) {
      Graph graph;
      Value x = graph.input("x", {{kRows, kClasses}}), labels = graph.input("labels", {{kRows}, DType::i32});
      Value weights = graph.input("class_weights", {{kClasses}});
      Value loss = graph.add(ops::softmax_cross_entropy, row.attrs, {x, labels, weights}, "loss").front();
      const auto gradients = differentiate(graph, loss, std::span(&x, 1));
      const auto rows = fixture::labels("rows", kRows, kClasses + 1);
      Given given;
      given[x.id] = fixture::tensor("x", kRows * kClasses, 1.5);
      for (int64_t label : rows) given[labels.id].push_back(float(label - 1));
      for (Value v : graph.states()) given[v.id] = state_value(graph.info(v));
      given[weights.id] = row.weighted ? fixture::tensor("class_weights", kClasses, 0.1875, 1) : std::vector<float>(size_t(kClasses), 1.0f);
      compare_both(recorded.at(row.name).at("quantities"), graph, given, {{"loss", loss, loss}, {"grad.x", gradients[0], x}});
    }
  }
}

TEST_CASE("optimizers equal PyTorch's", "[torch][device]") {
  const json recorded = fixture::load("ops.json").at("optimizers");
  CHECK(recorded.size() == 4);
  for (const auto& [name, fixture] : recorded.items()) {
    DYNAMIC_SECTION(name) {
      const bool nesterov = name == "sgd nesterov", sgd = name.starts_with("sgd");
      const OptimizerDef& optimizer = find_optimizer(nesterov ? "sgd" : name);
      const OptimizerSettings settings{.momentum = 0.9, .nesterov = nesterov, .weight_decay = 0.01};
      Graph graph;
      Value p = graph.state("p", {{37}}, {.trainable = true}), gradient = graph.input("gradient", {{37}});
      Value hyper = graph.input("hyper", {{8}});
      add_optimizer(graph, optimizer, settings, std::vector<TrainedParameter>{{p, gradient}}, hyper);

      Device& device = test::test_device();
      States states(device);
      Plan plan = make_plan(graph, target_for(device.info()));
      Executor executor(device, graph, std::move(plan), states);
      states.write("p", fixture::tensor("p", 37));
      for (int step = 0; step < 4; ++step) {
        executor.write(gradient, fixture::tensor("gradient " + std::to_string(step), 37, 0.5));
        executor.write(hyper, std::span<const float>(optimizer.hyper(settings, sgd ? 0.1 : 0.01, step + 1)));
        executor.run();
      }
      const auto m = fixture::measure(fixture.at("quantities").at("p"), "p", std::span<const float>(states.read("p")));
      INFO(m.text);
      CHECK(m.error <= 1e-6);
    }
  }
}
