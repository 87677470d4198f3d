// ONNX graphs as graphs of ours: layouts, folding, shapes that inputs decide, and what newer opsets changed. Outputs are held
// against plain loops, through the references of the ops: no device is needed.
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/reference.h"
#include "models/onnx/import.h"
#include "models/onnx/node_import.h"
#include "models/onnx/operators.h"
#include "runtime/error.h"
#include "tests/catch.h"

using namespace vkfer;

namespace {

OnnxPort port(const std::string& name, std::vector<int64_t> shape, StoredType type = StoredType::f32) {
  std::vector<OnnxDim> dims;
  for (int64_t d : shape) dims.push_back({d, {}});
  return {name, type, dims};
}

WeightTensor counted(std::vector<int64_t> shape, double scale = 1, double offset = 0) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  std::vector<double> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(offset + scale * double(i % 23));
  return tensor_of(StoredType::f32, std::move(shape), v);
}
WeightTensor whole(std::vector<int64_t> v) { return WeightTensor::of({int64_t(v.size())}, std::span<const int64_t>(v)); }

struct Model {
  OnnxModel model;
  OnnxOptions options;
  Graph graph;
  ImportedOnnx net;

  explicit Model(int64_t opset) {
    model.source = "case.onnx";
    model.opsets[""] = opset;
  }
  Model& input(const std::string& name, WeightTensor value, bool open = false) {
    OnnxPort p = port(name, value.shape, value.type);
    if (open)
      for (OnnxDim& d : *p.shape) d = {};
    model.inputs.push_back(p);
    options.values[name] = std::move(value);
    return *this;
  }
  Model& constant(const std::string& name, WeightTensor value) {
    model.initializers[name] = std::move(value);
    return *this;
  }
  Model& node(const std::string& op, std::vector<std::string> in, std::vector<std::string> out, std::map<std::string, OnnxAttribute> attributes = {}) {
    model.nodes.push_back({op, "", out[0], std::move(in), std::move(out), std::move(attributes)});
    return *this;
  }
  // The output called y.
  WeightTensor run() {
    model.outputs = {port("y", {})};
    graph = Graph();
    net = import_onnx(model, graph, options);
    if (net.outputs[0].known) return *net.outputs[0].known;
    std::map<int, HostTensor> given;
    for (const ImportedPort& p : net.inputs) {
      given[p.value.id] = HostTensor(Shape(p.shape));
      given[p.value.id].data = options.values.at(p.name).doubles();
    }
    for (const auto& [name, t] : net.constants) {
      const Value v = graph.find(name);
      const ValueInfo& info = graph.info(v);
      HostTensor h(info.desc.shape);
      const std::vector<double> from = t.doubles();
      const Shape& s = info.desc.shape;
      if (info.state.layout == Layout::filter) {
        for (int64_t i = 0; i < s.elements(); ++i) {
          const int64_t co = i % s[3], ci = i / s[3] % s[2], tap = i / s[3] / s[2];
          h[size_t(i)] = from[size_t((co * s[2] + ci) * s[0] * s[1] + tap)];
        }
      } else if (info.state.layout == Layout::linear) {
        for (int64_t i = 0; i < s.elements(); ++i) h[size_t(i)] = from[size_t(i % s[1] * s[0] + i / s[1])];
      } else {
        h.data = from;
      }
      given[v.id] = h;
    }
    const HostTensor y = run_reference(graph, given).at(net.outputs[0].value.id);
    return tensor_of(net.outputs[0].type, net.outputs[0].shape, y.data);
  }
  int64_t count(const char* op) const {
    return std::ranges::count_if(graph.nodes(), [&](const Node& n) { return n.op->name == op; });
  }
};

using Shape64 = std::vector<int64_t>;

}  // namespace

TEST_CASE("a chain of convolutions, norms and pools has no transpose inside", "[onnx][onnx_import]") {
  Model c(13);
  c.input("x", counted({1, 3, 8, 8}, 0.1)).constant("w", counted({4, 3, 3, 3}, 0.01)).constant("b", counted({4}));
  for (const char* name : {"scale", "shift", "mean", "var"}) c.constant(name, counted({4}, 0.1, 1));
  c.constant("w2", counted({4, 1, 3, 3}, 0.02)).constant("fc", counted({5, 4}, 0.1)).constant("fc_b", counted({5}));
  const Shape64 pads = {1, 1, 1, 1}, two = {2, 2};
  c.node("Conv", {"x", "w", "b"}, {"c1"}, {{"pads", pads}});
  c.node("BatchNormalization", {"c1", "scale", "shift", "mean", "var"}, {"n1"});
  c.node("Relu", {"n1"}, {"r1"});
  c.node("Conv", {"r1", "w2"}, {"c2"}, {{"pads", pads}, {"group", 4}});
  c.node("Add", {"c2", "r1"}, {"sum"});
  c.node("MaxPool", {"sum"}, {"p"}, {{"kernel_shape", two}, {"strides", two}});
  c.node("Concat", {"p", "p"}, {"cat"}, {{"axis", 1}});
  c.node("Slice", {"cat", "first", "last", "axis"}, {"cut"});
  c.constant("first", whole({0})).constant("last", whole({4})).constant("axis", whole({1}));
  c.node("GlobalAveragePool", {"cut"}, {"g"});
  c.node("Flatten", {"g"}, {"f"});
  c.node("Gemm", {"f", "fc", "fc_b"}, {"y"}, {{"transB", 1}});
  CHECK(c.run().shape == Shape64{1, 5});
  CHECK(c.count("transpose") == 1);   // of x alone
  for (const char* op : {"conv2d", "batch_norm_eval", "relu", "add", "max_pool", "global_avg_pool", "linear"}) {
    INFO(op);
    CHECK(c.count(op) > 0);
  }
  fuse_for_inference(c.graph);
  CHECK(c.count("batch_norm_eval") == 0);
  CHECK(c.count("relu") == 0);
  // Weights have the file's names and torch's order, and may train.
  CHECK(c.graph.info(c.graph.find("w")).state.layout == Layout::filter);
  CHECK(c.graph.info(c.graph.find("fc")).state.layout == Layout::linear);
  CHECK(c.graph.info(c.graph.find("fc")).state.trainable);
}

TEST_CASE("a network that transposes its images itself costs nothing", "[onnx][onnx_import]") {
  Model c(13);
  c.input("x", counted({1, 6, 5, 3})).constant("w", counted({2, 3, 1, 1}));
  c.node("Transpose", {"x"}, {"t"}, {{"perm", Shape64{0, 3, 1, 2}}}).node("Conv", {"t", "w"}, {"c"}).node("Transpose", {"c"}, {"y"}, {{"perm", Shape64{0, 2, 3, 1}}});
  const WeightTensor y = c.run();
  CHECK(y.shape == Shape64{1, 6, 5, 2});
  CHECK(c.count("transpose") == 0);
  const std::vector<double> x = c.options.values.at("x").doubles();
  CHECK(y.doubles()[1] == 3 * x[0] + 4 * x[1] + 5 * x[2]);
}

TEST_CASE("what is known is computed at import", "[onnx][onnx_import]") {
  Model c(13);
  c.input("x", counted({2, 3, 4}), true).constant("one", whole({1})).constant("minus", whole({-1})).constant("zero", whole({0}));
  c.node("Shape", {"x"}, {"s"}).node("Slice", {"s", "zero", "one"}, {"n"}).node("Concat", {"n", "minus"}, {"to"}, {{"axis", 0}});
  c.node("Reshape", {"x", "to"}, {"y"});
  CHECK(c.run().shape == Shape64{2, 12});
  CHECK(c.graph.nodes().size() <= 2);   // the reshape, and the output where that is a name of its own
}

TEST_CASE("nodes of one name are not taken for each other", "[onnx][onnx_import]") {
  Model c(14);
  c.input("x", tensor_of(StoredType::f32, {1, 1, 1, 2}, std::vector<double>{0, 3})).constant("none", counted({0}));
  c.constant("scales", tensor_of(StoredType::f32, {4}, std::vector<double>{1, 1, 1, 2}));
  c.node("Resize", {"x", "none", "scales"}, {"a"}, {{"mode", "nearest"}});
  c.node("Resize", {"x", "none", "scales"}, {"b"}, {{"mode", "linear"}, {"coordinate_transformation_mode", "align_corners"}});
  for (OnnxNode& n : c.model.nodes) n.name = "resize";
  c.node("Concat", {"a", "b"}, {"y"}, {{"axis", 3}});
  const std::vector<double> y = c.run().doubles(), expected{0, 0, 3, 3, 0, 1, 2, 3};
  REQUIRE(y.size() == expected.size());
  for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-6));
}

TEST_CASE("inputs that decide shapes are used at import, others are not", "[onnx][onnx_import]") {
  Model c(13);
  c.input("x", counted({2, 6})).input("to", whole({3, 4}));
  c.node("Reshape", {"x", "to"}, {"y"});
  CHECK(c.run().shape == Shape64{3, 4});
  CHECK(c.net.inputs.size() == 1);
  c.options.values.erase("to");
  c.options.shapes["to"] = {2};
  CHECK_THROWS_WITH(c.run(), contains("input 1 ('to') has to be known") && contains("Fix: give it with --input"));
}

TEST_CASE("open dimensions take the sizes of what is given, and of one name are equal", "[onnx][onnx_import]") {
  Model c(13);
  c.input("a", counted({2, 3})).input("b", counted({2, 3}));
  c.model.inputs[0].shape->at(0) = c.model.inputs[1].shape->at(0) = {-1, "batch"};
  c.node("Add", {"a", "b"}, {"y"});
  CHECK(c.run().shape == Shape64{2, 3});
  c.options.values["b"] = counted({4, 3});
  CHECK_THROWS_WITH(c.run(), contains("input 'b': dimension 0 (batch) is 4, expected 2"));
  c.options.values["b"] = counted({2, 5});
  CHECK_THROWS_WITH(c.run(), contains("input 'b': dimension 1 is 5, expected 3"));
  c.options.values["b"] = counted({2});
  CHECK_THROWS_WITH(c.run(), contains("got 1 dimensions, expected 2"));
  c.options.values.clear();
  CHECK_THROWS_WITH(c.run(), contains("dimension 0 (batch) is open. Fix: --input a=FILE.npy"));
  c.options.values["z"] = counted({1});
  CHECK_THROWS_WITH(c.run(), contains("got 'z', but case.onnx has the inputs a, b"));
}

TEST_CASE("what is not supported is named, with its node", "[onnx][onnx_import]") {
  Model c(13);
  c.input("x", counted({2, 3}));
  c.node("Loop", {"x"}, {"l"}).node("Loop", {"l"}, {"m"}).node("NonZero", {"m"}, {"y"});
  CHECK_THROWS_WITH(c.run(), contains("case.onnx: Loop 'l' is not supported") && contains("Loop (2), NonZero (1)"));
  for (const int64_t opset : {22, 1000000, 0, -1}) {
    Model old(opset);
    old.input("x", counted({1})).node("Relu", {"x"}, {"y"});
    CHECK_THROWS_WITH(old.run(), contains("expected 1 to 21"));
  }
}

TEST_CASE("attributes that became inputs, and what later opsets changed", "[onnx][onnx_import]") {
  const auto clip = [](int64_t opset) {
    Model c(opset);
    c.input("x", counted({5}, 1, -2));
    if (opset < 11) return c.node("Clip", {"x"}, {"y"}, {{"min", -1.0}, {"max", 1.0}}).run().doubles();
    return c.constant("lo", counted({}, 1, -1)).constant("hi", counted({}, 1, 1)).node("Clip", {"x", "lo", "hi"}, {"y"}).run().doubles();
  };
  CHECK(clip(6) == std::vector<double>{-1, -1, 0, 1, 1});
  CHECK(clip(21) == clip(6));
  const auto squeeze = [](int64_t opset) {
    Model c(opset);
    c.input("x", counted({1, 3, 1}));
    if (opset < 13) return c.node("Squeeze", {"x"}, {"y"}, {{"axes", Shape64{-1}}}).run().shape;
    return c.constant("axes", whole({-1})).node("Squeeze", {"x", "axes"}, {"y"}).run().shape;
  };
  CHECK(squeeze(11) == Shape64{1, 3});
  CHECK(squeeze(21) == Shape64{1, 3});
  const auto sum = [](int64_t opset) {
    Model c(opset);
    c.input("x", counted({2, 3}));
    if (opset < 13) return c.node("ReduceSum", {"x"}, {"y"}, {{"axes", Shape64{1}}, {"keepdims", 0}}).run().doubles();
    return c.constant("axes", whole({1})).node("ReduceSum", {"x", "axes"}, {"y"}, {{"keepdims", 0}}).run().doubles();
  };
  CHECK(sum(11) == std::vector<double>{3, 12});
  CHECK(sum(13) == sum(11));
  const auto maximum = [](int64_t opset) {
    Model c(opset);
    c.input("x", counted({2, 3}));
    if (opset < 18) return c.node("ReduceMax", {"x"}, {"y"}, {{"axes", Shape64{0}}}).run().doubles();
    return c.constant("axes", whole({0})).node("ReduceMax", {"x", "axes"}, {"y"}).run().doubles();
  };
  CHECK(maximum(13) == std::vector<double>{3, 4, 5});
  CHECK(maximum(18) == maximum(13));
  const auto softmax = [](int64_t opset) {
    Model c(opset);
    return c.input("x", counted({1, 2, 2}, 0)).node("Softmax", {"x"}, {"y"}).run().doubles()[0];
  };
  CHECK(softmax(11) == Approx(0.25));  // over everything from axis 1 on
  CHECK(softmax(13) == Approx(0.5));   // over the last axis
}

TEST_CASE("opset 18 to 21: axes of pads, parts of a split, group norms, and newer functions", "[onnx][onnx_import]") {
  Model pad(18);
  pad.input("x", counted({2, 2})).constant("pads", whole({1, 0})).constant("axes", whole({-1})).node("Pad", {"x", "pads", "", "axes"}, {"y"});
  CHECK(pad.run().doubles() == std::vector<double>{0, 0, 1, 0, 2, 3});
  Model wrap(19);
  wrap.input("x", counted({3})).constant("pads", whole({2, 1})).node("Pad", {"x", "pads"}, {"y"}, {{"mode", "wrap"}});
  CHECK(wrap.run().doubles() == std::vector<double>{1, 2, 0, 1, 2, 0});
  Model split(18);
  split.input("x", counted({5})).node("Split", {"x"}, {"a", "b", "y"}, {{"num_outputs", 3}});
  CHECK(split.run().doubles() == std::vector<double>{4});
  Model mish(18);
  mish.input("x", counted({1}, 1, 1)).node("Mish", {"x"}, {"y"});
  CHECK(mish.run().doubles()[0] == Approx(std::tanh(std::log1p(std::exp(1.0)))));
  Model gelu(20);
  gelu.input("x", counted({1}, 1, 1)).node("Gelu", {"x"}, {"y"});
  CHECK(gelu.run().doubles()[0] == Approx(0.5 * (1 + std::erf(1 / std::sqrt(2.0)))));
  for (const int64_t opset : {18, 21}) {
    Model norm(opset);
    norm.input("x", counted({1, 4, 2})).constant("s", counted({opset == 18 ? 2 : 4}, 0, 2)).constant("b", counted({opset == 18 ? 2 : 4}, 0, 1));
    norm.node("GroupNormalization", {"x", "s", "b"}, {"y"}, {{"num_groups", 2}, {"epsilon", 1e-9}});
    const std::vector<double> y = norm.run().doubles();
    CHECK(y[0] == Approx(1 + 2 * -1.5 / std::sqrt(1.25)));
    CHECK(y[4] == Approx(y[0]));
  }
  Model resize(18);
  resize.input("x", counted({1, 1, 2, 2})).constant("sizes", whole({4, 4})).node("Resize", {"x", "", "", "sizes"}, {"y"}, {{"axes", Shape64{2, 3}}});
  CHECK(resize.run().doubles() == std::vector<double>{0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3});
  Model larger(19);
  larger.input("x", counted({1, 1, 2, 4})).constant("sizes", whole({6, 6})).node("Resize", {"x", "", "", "sizes"}, {"y"}, {{"axes", Shape64{2, 3}}, {"keep_aspect_ratio_policy", "not_larger"}});
  CHECK(larger.run().shape == Shape64{1, 1, 3, 6});
}

TEST_CASE("sizes that a few bytes ask for are bounded, and wrong models say what is wrong", "[onnx][onnx_import]") {
  const auto refused = [](Model c, const std::string& reason) {
    INFO(reason);
    CHECK_THROWS_WITH(c.run(), contains("case.onnx") && contains(reason));
  };
  refused(Model(13).constant("s", whole({1 << 20, 1 << 20})).node("ConstantOfShape", {"s"}, {"y"}), "made of nothing");
  refused(Model(13).constant("s", whole({-1})).node("ConstantOfShape", {"s"}, {"y"}), "a dimension of -1");
  refused(Model(13).constant("a", counted({})).constant("b", counted({}, 1, 1e12)).constant("c", counted({}, 1, 1)).node("Range", {"a", "b", "c"}, {"y"}), "a range from");
  refused(Model(13).constant("a", counted({})).constant("b", counted({}, 1, 1)).node("Range", {"a", "b", "a"}, {"y"}), "in steps of 0");
  refused(Model(13).input("x", counted({2, 3})).constant("s", whole({4, -1})).node("Reshape", {"x", "s"}, {"y"}), "expected a multiple of 4");
  refused(Model(13).input("x", counted({2, 3})).constant("s", whole({-1, -1})).node("Reshape", {"x", "s"}, {"y"}), "-1 twice");
  refused(Model(13).input("x", counted({2, 3})).constant("s", whole({INT64_MAX, INT64_MAX})).node("Reshape", {"x", "s"}, {"y"}), "a dimension of");
  refused(Model(13).input("x", counted({2, 3})).constant("r", whole({1 << 30, 1 << 30})).node("Tile", {"x", "r"}, {"y"}), "repeats");
  refused(Model(13).input("x", counted({2})).constant("i", whole({5})).node("Gather", {"x", "i"}, {"y"}), "index 5 of a dimension of 2");
  refused(Model(13).input("x", counted({2})).node("Transpose", {"x"}, {"y"}, {{"perm", Shape64{1}}}), "perm is [1]");
  refused(Model(13).input("x", counted({2})).node("Transpose", {"x"}, {"y"}, {{"perm", 1}}), "attribute 'perm' is no list of integers");
  refused(Model(13).input("x", counted({2})).node("Softmax", {"x"}, {"y"}, {{"axis", 3}}), "axis 3 of a tensor of rank 1");
  refused(Model(13).input("x", counted({2})).node("Gemm", {"x"}, {"y"}), "input 1 is missing");
  refused(Model(13).input("x", counted({1, 1, 2, 2})).node("Conv", {"x", "x"}, {"y"}, {{"pads", Shape64{1}}}), "got 1 pads, expected 4");
  refused(Model(13).input("x", counted({1, 1, 2, 2})).node("MaxPool", {"x"}, {"y"}, {{"kernel_shape", Shape64{1 << 20, 1}}}), "a kernel, stride or dilation of 1048576");
  refused(Model(13).input("x", counted({1, 1, 2, 2, 2})).node("Conv", {"x", "x"}, {"y"}), "3 spatial dimensions, expected 1 or 2");
  refused(Model(13).input("x", counted({1, 4, 1, 1})).node("DepthToSpace", {"x"}, {"y"}, {{"blocksize", int64_t(1) << 32}}), "4 channels in blocks of 4294967296");
  for (const Shape64& huge : {Shape64{0, 1 << 20, 1 << 20}, Shape64{int64_t(1) << 32, int64_t(1) << 32}}) {
    Model c(14);
    c.model.inputs.push_back(port("x", huge));
    c.node("Trilu", {"x"}, {"y"});
    refused(std::move(c), "more than 2147483648 elements");
  }
  Model empty(14);   // nothing to keep or to take
  empty.model.inputs.push_back(port("x", {0, 1 << 15, 1 << 15}));
  CHECK(empty.node("Trilu", {"x"}, {"y"}).run().shape == Shape64{0, 1 << 15, 1 << 15});
  refused(Model(13).input("x", counted({2})).constant("big", whole({int64_t(1) << 40})).node("Cast", {"x"}, {"z"}, {{"to", 7}}).node("Add", {"z", "big"}, {"y"}), "does not fit 32 bits");
}

TEST_CASE("an axis of a scalar is refused, with the node", "[onnx]") {
  for (const char* op : {"Split", "Gather"}) {
    INFO(op);
    Model m(13);
    m.input("x", counted({})).constant("i", whole({0})).node(op, std::string(op) == "Gather" ? std::vector<std::string>{"x", "i"} : std::vector<std::string>{"x"}, {"y"});
    try {
      m.run();
      FAIL("accepted");
    } catch (const Error& e) {
      CHECK(std::string(e.what()).find(op) != std::string::npos);
    }
  }
}
