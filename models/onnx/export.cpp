#include "models/onnx/export.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "graph/ops/ops.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

using Integers = std::vector<int64_t>;

// [n,h,w,c] -> [n,c,h,w]; others stay.
Integers onnx_shape(const Shape& s) {
  Integers dims;
  for (int i = 0; i < s.rank(); ++i) dims.push_back(s[i]);
  if (dims.size() == 4) std::rotate(dims.begin() + 1, dims.begin() + 3, dims.end());
  return dims;
}

class Exporter {
 public:
  Exporter(const Graph& g, const std::map<std::string, std::vector<float>>& values, const OnnxExportOptions& options) : graph(g), values_(values), options_(options) {}
  OnnxModel run();

  // ---- for the table
  const Graph& graph;
  // The value's name in the model; a state becomes an initializer when it is first asked for.
  std::string name(Value v);
  std::string constant(const std::string& name, Integers shape, std::vector<float> values) {
    model_.initializers[name] = WeightTensor::of(std::move(shape), std::span<const float>(values));
    return name;
  }
  std::string integers(const std::string& name, Integers v) {
    model_.initializers[name] = WeightTensor::of({int64_t(v.size())}, std::span<const int64_t>(v));
    return name;
  }
  const std::vector<float>& state(Value v) const;
  // Adds a node; its one output is called `out`.
  std::string add(const std::string& op, std::vector<std::string> in, const std::string& out, std::map<std::string, OnnxAttribute> attributes = {}) {
    model_.nodes.push_back({op, {}, out, std::move(in), {out}, std::move(attributes)});
    return out;
  }
  std::string activation(const std::string& function, const std::string& x, const std::string& out);
  // What an op's epilogue does behind the sum called `x`: residual, activation. Ends in the node's own name.
  struct Epilogue {
    bool residual;
    std::string activation;
    explicit Epilogue(const Node& n) : residual(n.attrs.integer("residual", 0) != 0), activation(n.attrs.text("activation", "none")) {}
    bool any() const { return residual || activation != "none"; }
  };
  void finish(const Node&, const Epilogue&, std::string x);
  const Node* folded_into(const Node& conv) const {  // the batch norm that this convolution takes over
    const auto it = folds_.find(conv.label);
    return it == folds_.end() ? nullptr : it->second;
  }
  bool is_folded(const Node& norm) const { return std::ranges::any_of(folds_, [&](const auto& f) { return f.second == &norm; }); }
  [[noreturn]] void unsupported(const Node& n, const std::string& what) const {
    fail("export", "'{}': {}: {}. Fix: export a network of ours as `vkfer models` lists them", n.label, n.op->name, what);
  }

 private:
  void find_folds();
  OnnxPort port(Value v, const std::string& name) const;

  const std::map<std::string, std::vector<float>>& values_;
  const OnnxExportOptions& options_;
  OnnxModel model_;
  std::map<int, std::string> names_;
  std::map<std::string, const Node*> folds_;   // by the convolution's label
};

// ---- the table: how an op is written -----------------------------------------------------------------------------------

template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }
};

template <Name kFunction>
void write_activation(Exporter& e, const Node& n) { e.activation(kFunction.text, e.name(n.in[0]), n.label); }

template <Name kOp>
void write_binary(Exporter& e, const Node& n) { e.add(kOp.text, {e.name(n.in[0]), e.name(n.in[1])}, n.label); }

std::map<std::string, OnnxAttribute> window(const Node& n) {
  return {{"strides", n.attrs.integers("stride", {1, 1})}, {"pads", n.attrs.integers("pad", {0, 0, 0, 0})}};
}

// gamma (conv - mean) / sqrt(var + eps) + beta, as another filter and bias.
struct Folded {
  std::string filter, bias;
};
Folded folded(Exporter& e, const Node& conv, const Node& norm) {
  const auto &gamma = e.state(norm.in[1]), &beta = e.state(norm.in[2]), &mean = e.state(norm.in[3]), &var = e.state(norm.in[4]);
  std::vector<float> filter = e.state(conv.in[1]), bias(gamma.size());
  const bool has_bias = conv.attrs.integer("bias", 0) != 0;
  const size_t each = filter.size() / gamma.size();   // torch's order: [co,...]
  for (size_t o = 0; o < gamma.size(); ++o) {
    const double factor = double(gamma[o]) / std::sqrt(double(var[o]) + norm.attrs.number("eps", 1e-5));
    for (size_t i = 0; i < each; ++i) filter[o * each + i] = float(filter[o * each + i] * factor);
    bias[o] = float(double(beta[o]) + ((has_bias ? double(e.state(conv.in[2])[o]) : 0.0) - double(mean[o])) * factor);
  }
  return {e.constant(conv.label + ".weight", torch_shape(e.graph.info(conv.in[1])), filter), e.constant(conv.label + ".bias", {int64_t(bias.size())}, bias)};
}

void write_conv(Exporter& e, const Node& n) {
  std::map<std::string, OnnxAttribute> attributes = window(n);
  const Shape& filter = e.graph.shape(n.in[1]);
  attributes["kernel_shape"] = Integers{filter[0], filter[1]};
  attributes["dilations"] = n.attrs.integers("dilation", {1, 1});
  attributes["group"] = n.attrs.integer("groups", 1);
  const Exporter::Epilogue epilogue(n);
  std::vector<std::string> in = {e.name(n.in[0])};
  if (const Node* norm = e.folded_into(n)) {
    const Folded f = folded(e, n, *norm);
    e.add("Conv", {in[0], f.filter, f.bias}, n.label, attributes);
    return;
  }
  in.push_back(e.name(n.in[1]));
  if (n.attrs.integer("bias", 0)) in.push_back(e.name(n.in[2]));
  e.finish(n, epilogue, e.add("Conv", in, epilogue.any() ? n.label + "/conv" : n.label, attributes));
}

void write_norm(Exporter& e, const Node& n) {
  const Exporter::Epilogue epilogue(n);
  if (e.is_folded(n)) return e.finish(n, epilogue, e.name(n.in[0]));
  const std::string out = epilogue.any() ? n.label + "/norm" : n.label;
  e.add("BatchNormalization", {e.name(n.in[0]), e.name(n.in[1]), e.name(n.in[2]), e.name(n.in[3]), e.name(n.in[4])}, out, {{"epsilon", n.attrs.number("eps", 1e-5)}});
  e.finish(n, epilogue, out);
}

void write_linear(Exporter& e, const Node& n) {
  const Exporter::Epilogue epilogue(n);
  std::vector<std::string> in = {e.name(n.in[0]), e.name(n.in[1])};
  if (n.attrs.integer("bias", 0)) in.push_back(e.name(n.in[2]));
  const bool turned = e.graph.info(n.in[1]).state.layout != Layout::plain;
  e.finish(n, epilogue, e.add("Gemm", in, epilogue.any() ? n.label + "/gemm" : n.label, {{"transB", int(turned)}}));
}

template <Name kOp>
void write_pool(Exporter& e, const Node& n) {
  std::map<std::string, OnnxAttribute> attributes = window(n);
  attributes["kernel_shape"] = n.attrs.integers("kernel", {});
  if (n.attrs.integer("ceil_mode", 0)) attributes["ceil_mode"] = 1;
  if (kOp.text == std::string_view("AveragePool")) attributes["count_include_pad"] = n.attrs.integer("count_include_pad", 1);
  e.add(kOp.text, {e.name(n.in[0])}, n.label, attributes);
}

template <Name kOp>
void write_global_pool(Exporter& e, const Node& n) {
  e.add("Flatten", {e.add(kOp.text, {e.name(n.in[0])}, n.label + "/pool")}, n.label, {{"axis", 1}});
}

// Rows of averages: output i takes floor(i*in/out) to ceil((i+1)*in/out).
std::vector<float> averages(int64_t out, int64_t in, bool turned) {
  std::vector<float> m(size_t(out * in));
  for (int64_t i = 0; i < out; ++i) {
    const int64_t first = i * in / out, last = ((i + 1) * in + out - 1) / out;
    for (int64_t j = first; j < last; ++j) m[size_t(turned ? j * out + i : i * in + j)] = float(1.0 / double(last - first));
  }
  return m;
}

void write_adaptive_pool(Exporter& e, const Node& n) {
  const Shape &x = e.graph.shape(n.in[0]), &y = e.graph.shape(n.out[0]);
  if (x.h() % y.h() == 0 && x.w() % y.w() == 0) {
    const Integers kernel = {x.h() / y.h(), x.w() / y.w()};
    e.add("AveragePool", {e.name(n.in[0])}, n.label, {{"kernel_shape", kernel}, {"strides", kernel}});
    return;
  }
  const std::string rows = e.constant(n.label + "/rows", {y.h(), x.h()}, averages(y.h(), x.h(), false));
  const std::string columns = e.constant(n.label + "/columns", {x.w(), y.w()}, averages(y.w(), x.w(), true));
  e.add("MatMul", {e.add("MatMul", {rows, e.name(n.in[0])}, n.label + "/by_rows"), columns}, n.label);
}

void write_squeeze_excite(Exporter& e, const Node& n) {
  const std::string x = e.name(n.in[0]), &l = n.label;
  std::string z = e.add("GlobalAveragePool", {x}, l + "/means");
  z = e.add("Conv", {z, e.name(n.in[1]), e.name(n.in[2])}, l + "/fc1");
  z = e.activation(n.attrs.text("activation", "silu"), z, l + "/activation");
  z = e.add("Conv", {z, e.name(n.in[3]), e.name(n.in[4])}, l + "/fc2");
  e.add("Mul", {x, e.add("Sigmoid", {z}, l + "/gate")}, l);
}

void write_flatten(Exporter& e, const Node& n) { e.add("Flatten", {e.name(n.in[0])}, n.label, {{"axis", 1}}); }
void write_identity(Exporter& e, const Node& n) { e.add("Identity", {e.name(n.in[0])}, n.label); }
void write_softmax(Exporter& e, const Node& n) { e.add("Softmax", {e.name(n.in[0])}, n.label, {{"axis", 1}}); }
void write_scale(Exporter& e, const Node& n) {
  e.add("Mul", {e.name(n.in[0]), e.constant(n.label + "/factor", {}, {float(n.attrs.number("factor"))})}, n.label);
}

struct Row {
  const OpDef* op;
  void (*write)(Exporter&, const Node&);
};

const Row kRows[] = {
    {&ops::conv2d, write_conv},
    {&ops::batch_norm_eval, write_norm},
    {&ops::linear, write_linear},
    {&ops::relu, write_activation<"relu">},
    {&ops::relu6, write_activation<"relu6">},
    {&ops::silu, write_activation<"silu">},
    {&ops::sigmoid, write_activation<"sigmoid">},
    {&ops::hardswish, write_activation<"hardswish">},
    {&ops::add, write_binary<"Add">},
    {&ops::mul, write_binary<"Mul">},
    {&ops::scale, write_scale},
    {&ops::cast, write_identity},
    {&ops::flatten, write_flatten},
    {&ops::max_pool, write_pool<"MaxPool">},
    {&ops::avg_pool, write_pool<"AveragePool">},
    {&ops::adaptive_avg_pool, write_adaptive_pool},
    {&ops::global_avg_pool, write_global_pool<"GlobalAveragePool">},
    {&ops::global_max_pool, write_global_pool<"GlobalMaxPool">},
    {&ops::squeeze_excite, write_squeeze_excite},
    {&ops::softmax, write_softmax},
};

// ---- the walk -------------------------------------------------------------------------------------------------------------

std::string Exporter::activation(const std::string& function, const std::string& x, const std::string& out) {
  if (function == "relu") return add("Relu", {x}, out);
  if (function == "relu6") return add("Clip", {x, constant("zero", {}, {0}), constant("six", {}, {6})}, out);
  if (function == "sigmoid") return add("Sigmoid", {x}, out);
  if (function == "silu") return add("Mul", {x, add("Sigmoid", {x}, out + "/gate")}, out);
  if (function == "hardswish") return add("HardSwish", {x}, out);
  return x;
}

void Exporter::finish(const Node& n, const Epilogue& e, std::string x) {
  if (e.residual) x = add("Add", {x, name(n.in.back())}, e.activation == "none" ? n.label : n.label + "/sum");
  if (e.activation != "none") x = activation(e.activation, x, n.label);
  names_[n.out[0].id] = x;
}

const std::vector<float>& Exporter::state(Value v) const {
  const auto it = values_.find(graph.info(v).name);
  if (it == values_.end()) fail("export", "'{}' has no values. Fix: give all weights of the network", graph.info(v).name);
  return it->second;
}

std::string Exporter::name(Value v) {
  const ValueInfo& info = graph.info(v);
  if (const auto it = names_.find(v.id); it != names_.end()) return it->second;
  if (info.role == Role::state) constant(info.name, torch_shape(info), state(v));
  return names_[v.id] = info.role == Role::computed ? graph.nodes()[size_t(info.producer)].label : info.name;
}

void Exporter::find_folds() {
  std::vector<int> uses(graph.values().size());
  for (const Node& n : graph.nodes())
    for (Value v : n.in) ++uses[size_t(v.id)];
  for (const Node& n : graph.nodes()) {
    if (n.op != &ops::batch_norm_eval || graph.info(n.in[0]).producer < 0 || graph.info(n.in[0]).output || uses[size_t(n.in[0].id)] != 1) continue;
    const Node& conv = graph.nodes()[size_t(graph.info(n.in[0]).producer)];
    if (conv.op == &ops::conv2d && !Epilogue(conv).any()) folds_[conv.label] = &n;
  }
}

OnnxPort Exporter::port(Value v, const std::string& port_name) const {
  OnnxPort p{port_name, StoredType::f32, std::vector<OnnxDim>{}};
  for (const int64_t d : onnx_shape(graph.shape(v))) p.shape->push_back({d, {}});
  if (!p.shape->empty()) p.shape->front() = {-1, options_.batch};
  return p;
}

OnnxModel Exporter::run() {
  model_.producer = "vkfer";
  model_.opsets[""] = kExportOpset;
  if (options_.fold_batch_norm) find_folds();
  std::vector<bool> used(graph.values().size());
  for (const Node& n : graph.nodes())
    for (Value v : n.in) used[size_t(v.id)] = true;
  for (size_t v = 0; v < graph.values().size(); ++v)
    if (graph.values()[v].role == Role::input && used[v]) model_.inputs.push_back(port(Value{int(v)}, graph.values()[v].name));
  for (const Node& n : graph.nodes()) {
    const auto row = std::ranges::find(kRows, n.op, &Row::op);
    if (row == std::end(kRows)) unsupported(n, "has no counterpart in ONNX");
    row->write(*this, n);
  }
  for (size_t v = 0; v < graph.values().size(); ++v) {
    const ValueInfo& info = graph.values()[v];
    if (!info.output || info.role != Role::computed) continue;
    const std::string inner = name(Value{int(v)});
    if (inner != info.name) add("Identity", {inner}, info.name);
    model_.outputs.push_back(port(Value{int(v)}, info.name));
  }
  return std::move(model_);
}

}  // namespace

OnnxModel export_onnx(const Graph& graph, const std::map<std::string, std::vector<float>>& values, const OnnxExportOptions& options) {
  return Exporter(graph, values, options).run();
}

}  // namespace vkfer
