// ModelProto and what is in it. Messages are read level by level, each by its own function, and a graph within a node's attribute
// is not entered: there is no recursion, however deep a file nests.
#include <algorithm>
#include <set>

#include "models/onnx/model.h"
#include "models/onnx/tensor.h"
#include "models/weights/formats.h"

namespace vkfer {
namespace {

constexpr size_t kMostNodes = 1 << 20;

std::pair<std::string, std::string> text_pair(ProtoReader r) {
  std::pair<std::string, std::string> p;
  while (r.next()) {
    if (r.number() == 1) p.first = r.text();
    if (r.number() == 2) p.second = r.text();
  }
  return p;
}

OnnxDim dimension(ProtoReader r) {
  OnnxDim d;
  while (r.next()) {
    if (r.number() == 1) {
      d.size = r.integer();
      if (d.size < -1) r.damaged("got a dimension of {}, expected 0 or more", d.size);
    }
    if (r.number() == 2) d.symbol = r.text();
  }
  return d;
}

std::vector<OnnxDim> shape(ProtoReader r) {
  std::vector<OnnxDim> dims;
  while (r.next())
    if (r.number() == 1) dims.push_back(dimension(r.message()));
  return dims;
}

void tensor_type(ProtoReader r, OnnxPort& port) {
  while (r.next()) {
    if (r.number() == 1) port.type = type_of_onnx(r.integer());
    if (r.number() == 2) port.shape = shape(r.message());
  }
}

OnnxPort port(ProtoReader r) {
  OnnxPort p;
  while (r.next()) {
    if (r.number() == 1) p.name = r.text();
    if (r.number() != 2) continue;
    for (ProtoReader type = r.message(); type.next();)
      if (type.number() == 1) tensor_type(type.message(), p);
  }
  return p;
}

// AttributeProto.type; files of before 2017 leave it out.
OnnxAttribute::Kind kind_of(int64_t type) {
  using Kind = OnnxAttribute::Kind;
  constexpr Kind kinds[] = {Kind::other, Kind::number, Kind::integer, Kind::text, Kind::tensor, Kind::other, Kind::numbers, Kind::integers, Kind::texts};
  return type >= 0 && type < int64_t(std::size(kinds)) ? kinds[type] : Kind::other;
}

void attribute(ProtoReader r, OnnxNode& node, ExternalData& external) {
  std::string name;
  OnnxAttribute a;
  std::vector<float> floats;
  OnnxAttribute::Kind seen = OnnxAttribute::Kind::other;
  std::optional<int64_t> type;
  const ProtoReader begin = r;
  while (r.next()) {
    using Kind = OnnxAttribute::Kind;
    switch (r.number()) {
      case 1: name = r.text(); break;
      case 2: a.number = r.number32(), seen = Kind::number; break;
      case 3: a.integer = r.integer(), seen = Kind::integer; break;
      case 4: a.text = r.text(), seen = Kind::text; break;
      case 5: a.tensor = read_onnx_tensor(r.message(), &external).second, seen = Kind::tensor; break;
      case 7: r.floats(floats), seen = Kind::numbers; break;
      case 8: r.integers(a.integers), seen = Kind::integers; break;
      case 9: a.texts.push_back(r.text()), seen = Kind::texts; break;
      case 20: type = r.integer(); break;
      default: break;
    }
  }
  a.kind = type ? kind_of(*type) : seen;
  if (a.kind != seen && (seen != OnnxAttribute::Kind::other || a.kind == OnnxAttribute::Kind::tensor))
    begin.damaged("attribute '{}' of a {} is not of the type that it says", shown(name), shown(node.op));
  a.numbers.assign(floats.begin(), floats.end());
  if (!node.attributes.emplace(name, std::move(a)).second) begin.damaged("attribute '{}' of a {} is there twice", shown(name), shown(node.op));
}

OnnxNode node(ProtoReader r, ExternalData& external) {
  OnnxNode n;
  for (ProtoReader names = r; names.next();) {  // first, for messages about the attributes
    if (names.number() == 3) n.name = names.text();
    if (names.number() == 4) n.op = names.text();
  }
  while (r.next()) {
    switch (r.number()) {
      case 1: n.in.push_back(r.text()); break;
      case 2: n.out.push_back(r.text()); break;
      case 5: attribute(r.message(), n, external); break;
      case 7: n.domain = r.text(); break;
      default: break;
    }
  }
  if (n.domain == "ai.onnx") n.domain.clear();
  return n;
}

void initializer(const ProtoReader& r, OnnxModel& model, ExternalData& external) {
  auto [name, tensor] = read_onnx_tensor(r.message(), &external);
  if (name.empty()) r.damaged("got an initializer without a name");
  if (!model.initializers.emplace(name, std::move(tensor)).second) r.damaged("initializer '{}' is there twice", shown(name));
}

void graph(ProtoReader r, OnnxModel& model, ExternalData& external) {
  while (r.next()) {
    switch (r.number()) {
      case 1:
        if (model.nodes.size() == kMostNodes) r.damaged("got more than {} nodes", kMostNodes);
        model.nodes.push_back(node(r.message(), external));
        break;
      case 5: initializer(r, model, external); break;
      case 11: model.inputs.push_back(port(r.message())); break;
      case 12: model.outputs.push_back(port(r.message())); break;
      case 15: r.damaged("got a sparse initializer, expected dense ones");
      default: break;
    }
  }
}

void opset(ProtoReader r, OnnxModel& model) {
  std::string domain;
  int64_t version = 0;
  while (r.next()) {
    if (r.number() == 1) domain = r.text();
    if (r.number() == 2) version = r.integer();
  }
  model.opsets[domain == "ai.onnx" ? "" : domain] = version;
}

// Every value is made once, and before it is read: so there is no cycle, either.
void check_order(const OnnxModel& model) {
  std::set<std::string> made;
  const auto bad = [&](const std::string& what) { fail("onnx", "{}: {}. Fix: export the model again; onnx.checker finds the same", model.source, what); };
  for (const OnnxPort& p : model.inputs)
    if (p.name.empty() || !made.insert(p.name).second) bad(fmt::format("input '{}' is there twice, or has no name", shown(p.name)));
  for (const auto& [name, tensor] : model.initializers) made.insert(name);
  for (size_t i = 0; i < model.nodes.size(); ++i) {
    const OnnxNode& n = model.nodes[i];
    const std::string who = fmt::format("node {} ({} '{}')", i, shown(n.op), shown(n.name));
    for (const std::string& in : n.in)
      if (!in.empty() && !made.count(in)) bad(fmt::format("{} reads '{}', which no node before it makes", who, shown(in)));
    for (const std::string& out : n.out)
      if (!out.empty() && !made.insert(out).second) bad(fmt::format("{} makes '{}', which is made already", who, shown(out)));
  }
  for (const OnnxPort& p : model.outputs)
    if (!made.count(p.name)) bad(fmt::format("output '{}' is made by no node", shown(p.name)));
}

}  // namespace

// The first fields of a ModelProto, up to where the bytes end.
bool looks_like_onnx(std::span<const std::byte> bytes) {
  const auto at = [&](size_t i) { return uint8_t(bytes[i]); };
  if (bytes.size() < 4 || at(0) != 0x08 || at(1) == 0 || at(1) > 64) return false;   // ir_version comes first
  constexpr std::string_view kNext = "\x12\x1a\x22\x28\x32\x3a\x42\x72";               // producer ... graph, opset_import, metadata
  return kNext.find(char(at(2))) != kNext.npos && (at(3) != 0 || (bytes.size() > 4 && kNext.find(char(at(4))) != kNext.npos));
}

OnnxModel parse_onnx(std::span<const std::byte> bytes, const std::string& source) {
  OnnxModel model;
  model.source = source;
  ExternalData external(source);
  bool has_graph = false;
  ProtoReader r(bytes, source, 0);
  while (r.next()) {
    switch (r.number()) {
      case 1: model.ir_version = r.integer(); break;
      case 2: model.producer = r.text(); break;
      case 7:
        if (has_graph) r.damaged("got a second graph");
        has_graph = true;
        graph(r.message(), model, external);
        break;
      case 8: opset(r.message(), model); break;
      case 14: model.metadata.insert(text_pair(r.message())); break;
      default: break;
    }
  }
  if (!has_graph) fail("onnx", "{}: got {} bytes without a graph, expected an ONNX model. Fix: download or save the file again", source, bytes.size());
  if (!model.opsets.count("")) model.opsets[""] = 1;  // as the IR says of files that name none
  check_order(model);
  return model;
}

OnnxModel read_onnx(const std::string& path) { return parse_onnx(read_weight_bytes(path), path); }

WeightFile parse_onnx_weights(std::span<const std::byte> bytes, const std::string& source) {
  OnnxModel model = parse_onnx(bytes, source);
  WeightFile file;
  file.source = source;
  file.notes.push_back(fmt::format("{} nodes, opset {}, by '{}'", model.nodes.size(), model.opsets[""], shown(model.producer)));
  file.tensors = std::move(model.initializers);
  for (OnnxNode& n : model.nodes) {
    const auto value = n.attributes.find("value");
    if (n.op == "Constant" && !n.out.empty() && value != n.attributes.end() && value->second.kind == OnnxAttribute::Kind::tensor)
      file.tensors.emplace(n.out[0], std::move(value->second.tensor));
  }
  return file;
}

}  // namespace vkfer
