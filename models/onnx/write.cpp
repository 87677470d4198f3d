#include "models/onnx/model.h"
#include "models/onnx/tensor.h"

namespace vkfer {
namespace {

ProtoWriter text_pair(const std::string& key, const std::string& value) {
  ProtoWriter w;
  w.text(1, key);
  w.text(2, value);
  return w;
}

ProtoWriter port(const OnnxPort& p) {
  ProtoWriter shape, tensor, type, w;
  for (const OnnxDim& d : p.shape.value_or(std::vector<OnnxDim>{})) {
    ProtoWriter dim;
    if (d.size >= 0) dim.integer(1, d.size);
    else if (!d.symbol.empty()) dim.text(2, d.symbol);
    shape.message(1, dim);
  }
  if (p.type) tensor.integer(1, onnx_type(*p.type));
  if (p.shape) tensor.message(2, shape);
  type.message(1, tensor);
  w.text(1, p.name);
  w.message(2, type);
  return w;
}

ProtoWriter attribute(const std::string& name, const OnnxAttribute& a) {
  using Kind = OnnxAttribute::Kind;
  ProtoWriter w;
  w.text(1, name);
  int64_t type = 0;
  switch (a.kind) {
    case Kind::number: w.number32(2, float(a.number)), type = 1; break;
    case Kind::integer: w.integer(3, a.integer), type = 2; break;
    case Kind::text: w.text(4, a.text), type = 3; break;
    case Kind::tensor: {
      ProtoWriter tensor;
      write_onnx_tensor(tensor, {}, a.tensor);
      w.message(5, tensor), type = 4;
      break;
    }
    case Kind::numbers: {
      const std::vector<float> floats(a.numbers.begin(), a.numbers.end());
      w.floats(7, floats), type = 6;
      break;
    }
    case Kind::integers: w.integers(8, a.integers), type = 7; break;
    case Kind::texts:
      for (const std::string& t : a.texts) w.text(9, t);
      type = 8;
      break;
    case Kind::other: fail("onnx", "attribute '{}': graphs and types cannot be written. Fix: correct the caller", name);
  }
  w.integer(20, type);
  return w;
}

ProtoWriter node(const OnnxNode& n) {
  ProtoWriter w;
  for (const std::string& in : n.in) w.text(1, in);
  for (const std::string& out : n.out) w.text(2, out);
  if (!n.name.empty()) w.text(3, n.name);
  w.text(4, n.op);
  for (const auto& [name, a] : n.attributes) w.message(5, attribute(name, a));
  if (!n.domain.empty()) w.text(7, n.domain);
  return w;
}

}  // namespace

std::string onnx_bytes(const OnnxModel& model) {
  ProtoWriter graph, w;
  for (const OnnxNode& n : model.nodes) graph.message(1, node(n));
  graph.text(2, "graph");  // onnx.checker wants a name
  for (const auto& [name, tensor] : model.initializers) {
    ProtoWriter t;
    write_onnx_tensor(t, name, tensor);
    graph.message(5, t);
  }
  for (const OnnxPort& p : model.inputs) graph.message(11, port(p));
  for (const OnnxPort& p : model.outputs) graph.message(12, port(p));
  w.integer(1, model.ir_version);
  w.text(2, model.producer);
  w.message(7, graph);
  for (const auto& [domain, version] : model.opsets) {
    ProtoWriter opset;
    opset.text(1, domain);
    opset.integer(2, version);
    w.message(8, opset);
  }
  for (const auto& [key, value] : model.metadata) w.message(14, text_pair(key, value));
  return w.bytes();
}

}  // namespace vkfer
