#include "models/onnx/network.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>

#include "graph/ops/ops.h"
#include "models/head.h"
#include "models/layers.h"
#include "models/onnx/export.h"
#include "models/onnx/import.h"
#include "models/weights/bytes.h"
#include "models/weights/formats.h"
#include "models/weights/transfer.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;
using Dims = std::vector<int64_t>;

// Two, because a model that was written for one image shows it with two.
constexpr int64_t kTried = 2;
constexpr const char *kImages = "vkfer.images", *kMap = "vkfer.map", *kFeatures = "vkfer.features", *kClassifier = "vkfer.classifier", *kSize = "vkfer.size",
                     *kChannels = "vkfer.channels";

struct Input {
  std::string name;
  int size = 224, channels = 3;
};

// ---- a model's graph, walked backwards ----------------------------------------------------------------------------------

std::map<std::string, const OnnxNode*> producers(const OnnxModel& model) {
  std::map<std::string, const OnnxNode*> by_name;
  for (const OnnxNode& n : model.nodes)
    for (const std::string& out : n.out)
      if (!out.empty()) by_name[out] = &n;
  return by_name;
}

// What `to` is computed from, with `from` as given. `complete`: no other input of the model is needed.
struct Part {
  OnnxModel model;
  bool complete = true;
};

Part cut(const OnnxModel& model, const std::string& from, const std::string& to) {
  const auto by_name = producers(model);
  std::set<std::string> wanted = {to}, used;
  std::set<const OnnxNode*> nodes;
  std::vector<std::string> open = {to};
  Part part;
  while (!open.empty()) {
    const std::string name = open.back();
    open.pop_back();
    if (name == from) continue;
    if (model.initializers.count(name)) {
      used.insert(name);
      continue;
    }
    const auto it = by_name.find(name);
    if (it == by_name.end()) {
      part.complete = false;
      continue;
    }
    if (!nodes.insert(it->second).second) continue;
    for (const std::string& in : it->second->in)
      if (!in.empty() && wanted.insert(in).second) open.push_back(in);
  }
  OnnxModel& m = part.model;
  m.source = model.source;
  m.ir_version = model.ir_version;
  m.producer = model.producer;
  m.opsets = model.opsets;
  m.metadata = model.metadata;
  for (const OnnxNode& n : model.nodes)
    if (nodes.count(&n)) m.nodes.push_back(n);
  for (const std::string& name : used) m.initializers[name] = model.initializers.at(name);
  m.inputs = {{from, StoredType::f32, std::nullopt}};
  m.outputs = {{to, StoredType::f32, std::nullopt}};
  return part;
}

bool is_standard(const OnnxNode& n, std::initializer_list<std::string_view> ops) {
  return n.domain.empty() && std::ranges::count(ops, std::string_view(n.op)) != 0;
}

// The layer that makes the scores: features [n,k] or [n,k,1,1] times a matrix.
struct Linear {
  std::string features, weight, bias;   // bias "": none
  bool turned = false;                  // the matrix is [out,k]
};

class Anatomy {
 public:
  Anatomy(const OnnxModel& model, const std::map<std::string, Dims>& shapes) : model_(model), shapes_(shapes), by_name_(producers(model)) {}

  const Dims& shape(const std::string& name) const { return shapes_.at(name); }
  const OnnxNode* producer(const std::string& name) const {
    const auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
  }

  std::optional<Linear> classifier(std::string name) const {
    while (const OnnxNode* n = producer(name)) {
      if (const auto found = linear(*n)) return found;
      const bool passes = is_standard(*n, {"Softmax", "LogSoftmax", "Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Dropout"});
      if (!passes || elements(n->in[0]) != elements(name)) return {};
      name = n->in[0];
    }
    return {};
  }

  // The last map of more than one pixel on the way to `features` that everything passes through; "" when there is none.
  std::string map(const std::string& features, const std::string& images) const {
    std::vector<std::string> way = {features};
    std::set<std::string> seen = {features};
    for (size_t i = 0; i < way.size(); ++i) {   // breadth first: the nearest comes first
      const auto s = shapes_.find(way[i]);
      if (s == shapes_.end()) continue;
      const bool is_map = s->second.size() == 4 && s->second[0] == kTried && s->second[2] * s->second[3] > 1;
      if (is_map && way[i] != images && cut(model_, way[i], features).complete) return way[i];
      if (const OnnxNode* n = producer(way[i]))
        for (const std::string& in : n->in)
          if (!in.empty() && !model_.initializers.count(in) && seen.insert(in).second) way.push_back(in);
    }
    return {};
  }

 private:
  int64_t elements(const std::string& name) const {
    int64_t n = 1;
    for (const int64_t d : shapes_.at(name)) n *= d;
    return n;
  }
  static Dims turned(const Dims& s) { return {s[1], s[0]}; }
  bool is_weight(const std::string& name, size_t rank) const {
    const auto it = model_.initializers.find(name);
    return it != model_.initializers.end() && it->second.shape.size() == rank && device_type(it->second.type) == DType::f32;
  }

  std::optional<Linear> linear(const OnnxNode& n) const {
    const auto number = [&](const char* name, double fallback) {
      const auto it = n.attributes.find(name);
      return it == n.attributes.end() ? fallback : it->second.kind == OnnxAttribute::Kind::integer ? double(it->second.integer) : it->second.number;
    };
    if (is_standard(n, {"Gemm"}) && n.in.size() > 1 && is_weight(n.in[1], 2)) {
      const bool bias = n.in.size() > 2 && !n.in[2].empty();
      if (number("alpha", 1) != 1 || number("beta", 1) != 1 || number("transA", 0) != 0 || (bias && !is_weight(n.in[2], 1))) return {};
      return Linear{n.in[0], n.in[1], bias ? n.in[2] : "", number("transB", 0) != 0};
    }
    if (is_standard(n, {"MatMul"}) && shapes_.at(n.in[0]).size() == 2) {
      if (is_weight(n.in[1], 2)) return Linear{n.in[0], n.in[1], "", false};
      const OnnxNode* turning = producer(n.in[1]);   // as PyTorch exports without folding
      if (turning && is_standard(*turning, {"Transpose"}) && is_weight(turning->in[0], 2) && shapes_.at(n.in[1]) == turned(shapes_.at(turning->in[0])))
        return Linear{n.in[0], turning->in[0], "", true};
    }
    if (is_standard(n, {"Add"}))
      for (const size_t i : {0, 1}) {
        const OnnxNode* product = producer(n.in[i]);
        if (!product || !is_standard(*product, {"MatMul"}) || !is_weight(n.in[1 - i], 1)) continue;
        if (auto l = linear(*product)) return l->bias = n.in[1 - i], l;
      }
    if (is_standard(n, {"Conv"}) && is_weight(n.in[1], 4) && shapes_.at(n.in[0]).size() == 4) {
      const Dims &x = shapes_.at(n.in[0]), &w = model_.initializers.at(n.in[1]).shape;
      if (x[2] * x[3] != 1 || w[2] * w[3] != 1 || w[1] != x[1]) return {};
      return Linear{n.in[0], n.in[1], n.in.size() > 2 ? n.in[2] : "", true};
    }
    return {};
  }

  const OnnxModel& model_;
  const std::map<std::string, Dims>& shapes_;
  const std::map<std::string, const OnnxNode*> by_name_;
};

// ---- as a network -------------------------------------------------------------------------------------------------------

struct Network {
  OnnxModel backbone;                 // images -> map, or features where there is no map
  std::optional<OnnxModel> neck;      // map -> features
  Input input;
  std::string map, features, classifier;           // classifier: our name of the layer; its weights are in `own`
  std::map<std::string, WeightTensor> own;         // weights, by state
  std::string definitions[2];                      // without and with the neck, once asked for: every best epoch asks
};

// Below this reserved ones of training begin; see LoadOptions::ignored_prefixes.
void check_names(const WeightFile& weights) {
  const LoadOptions defaults;
  for (const auto& [name, tensor] : weights.tensors)
    for (const std::string& prefix : defaults.ignored_prefixes)
      if (name.starts_with(prefix)) throw UnsupportedOnnx(fmt::format("{}: a weight is called '{}', which is a name of training's own. Fix: rename it", weights.source, shown(name)));
}

Value imported(Layers& layers, const OnnxModel& model, Value from, std::map<std::string, WeightTensor>* constants, std::map<std::string, Dims>* shapes = nullptr) {
  Graph& g = layers.graph();
  const ImportedOnnx net = import_onnx(model, g, {.shapes = {}, .values = {}, .part = {{model.inputs[0].name, from}}, .layers = &layers});
  if (constants) constants->insert(net.constants.begin(), net.constants.end());
  if (shapes) *shapes = net.shapes;
  if (!net.outputs[0].value) throw UnsupportedOnnx(fmt::format("{}: '{}' does not depend on the images", model.source, shown(model.outputs[0].name)));
  for (const Value v : g.states())
    if (g.info(v).state.trainable && g.info(v).name.ends_with(":constant"))
      throw UnsupportedOnnx(fmt::format("{}: '{}' is a weight of layers that take it in different orders: this can be run, but not trained", model.source, shown(g.info(v).name)));
  for (const auto& [name, tensor] : net.constants)
    if (const Value state = g.find(name); g.desc(state).dtype != DType::f32)
      throw UnsupportedOnnx(fmt::format("{}: '{}' holds integers that the device computes with: this can be run, but not trained", model.source, shown(name)));
  return net.outputs[0].value;
}

// Its operators work on f32, whatever activations are stored as.
Value cast(Layers& layers, Value v, DType to, const char* label) {
  return layers.graph().desc(v).dtype == to ? v : layers.graph().add1(ops::cast, {{"to", dtype_name(to)}}, {v}, label);
}

Value as_map(Layers& layers, Value v) {
  const Shape s = layers.shape(v);
  if (s.rank() == 4) return v;
  return layers.graph().add1(ops::reshape, {{"shape", Dims{s[0], 1, 1, s.elements() / s[0]}}}, {v}, "map");
}

Value as_row(Layers& layers, Value v) {
  const Shape s = layers.shape(v);
  if (s.rank() == 2) return v;
  if (s.rank() == 4 && s.h() * s.w() > 1) return layers.global_avg_pool("avgpool", v);
  return layers.graph().add1(ops::reshape, {{"shape", Dims{s[0], s.elements() / s[0]}}}, {v}, "features");
}

// As imported(), of a network that knows its weights. What the file makes of the number and the size of the images was made of those
// that the network was tried with, and is among these weights: with others it would be wrong.
Value imported_again(const Network& net, const OnnxModel& part, Layers& layers, Value from) {
  std::map<std::string, WeightTensor> constants;
  const Value v = imported(layers, part, from, &constants);
  for (const auto& [name, tensor] : constants) {
    const auto tried = net.own.find(name);
    if (part.initializers.count(name) || tried == net.own.end() || (tried->second.shape == tensor.shape && tried->second.bytes == tensor.bytes)) continue;
    throw UnsupportedOnnx(fmt::format("{}: '{}' follows from the size or the number of the images, and was made for {} of {}x{}. Fix: --size {}; where it follows from the "
                                      "number, the model can be run, but not trained", part.source, shown(name), kTried, net.input.size, net.input.size, net.input.size));
  }
  return v;
}

Value backbone_of(const Network& net, Layers& layers, Value images) {
  const int64_t n = layers.shape(images)[0];
  const Value map = imported_again(net, net.backbone, layers, cast(layers, images, DType::f32, "input.f32"));
  const Shape& s = layers.shape(map);
  if ((s.rank() != 2 && s.rank() != 4) || s[0] != n)
    throw UnsupportedOnnx(fmt::format("{}: '{}' has the shape {} for {} images of {} pixels. Fix: export it with open sizes for any number of images (dynamic_axes)",
                                      net.backbone.source, shown(net.backbone.outputs[0].name), s.to_string(), n, layers.options().size));
  return cast(layers, as_map(layers, map), layers.options().storage, "map.cast");
}

Value neck_of(const Network& net, Layers& layers, Value map) {
  if (!net.neck) return as_row(layers, map);
  return as_row(layers, imported_again(net, *net.neck, layers, cast(layers, map, DType::f32, "map.f32")));
}

OnnxModel joined(const Network& net, bool with_neck) {
  OnnxModel m = net.backbone;
  if (!with_neck || !net.neck) return m;
  m.nodes.insert(m.nodes.end(), net.neck->nodes.begin(), net.neck->nodes.end());
  m.initializers.insert(net.neck->initializers.begin(), net.neck->initializers.end());
  m.outputs = net.neck->outputs;
  return m;
}

// The graph without what is in a file of weights anyway: those initializers become inputs.
const std::string& definition_of(Network& net, bool with_neck) {
  std::string& made = net.definitions[with_neck];
  if (!made.empty()) return made;
  OnnxModel m = joined(net, with_neck);
  m.metadata = {{kImages, net.input.name}, {kMap, net.map}, {kFeatures, net.features}, {kClassifier, net.classifier},
                {kSize, std::to_string(net.input.size)}, {kChannels, std::to_string(net.input.channels)}};
  for (auto it = m.initializers.begin(); it != m.initializers.end();) {
    const auto own = net.own.find(it->first);
    if (own == net.own.end() || own->second.shape != it->second.shape) {
      ++it;
      continue;
    }
    OnnxPort port{it->first, it->second.type, std::vector<OnnxDim>{}};
    for (const int64_t d : it->second.shape) port.shape->push_back({d, {}});
    m.inputs.push_back(port);
    it = m.initializers.erase(it);
  }
  return made = onnx_bytes(m);
}

Preprocessing preprocessing_of(const OnnxModel& model) {
  // Our own exports say it, as JSON; the name is all that is needed.
  const auto it = model.metadata.find("preprocessing");
  if (it == model.metadata.end()) return preprocessing_from_name("imagenet");
  for (const char* name : {"imagenet", "half", "unit", "caffe"})
    if (it->second.find(fmt::format("\"name\":\"{}\"", name)) != std::string::npos) return preprocessing_from_name(name);
  return preprocessing_from_name("imagenet");
}

ModelInfo info_of(std::shared_ptr<Network> net, const std::string& name) {
  ModelInfo info;
  info.name = name;
  info.title = fmt::format("ONNX model{}{}, {} nodes", net->backbone.producer.empty() ? "" : " of ", shown(net->backbone.producer),
                           net->backbone.nodes.size() + (net->neck ? net->neck->nodes.size() : 0));
  info.default_size = net->input.size;
  info.channels = net->input.channels;
  info.preprocessing = preprocessing_of(net->backbone);
  info.classifier = net->classifier;
  info.backbone = [net](Layers& layers, Value images) { return backbone_of(*net, layers, images); };
  info.neck = [net](Layers& layers, Value map) { return neck_of(*net, layers, map); };
  info.definition = [net](bool with_neck) { return definition_of(*net, with_neck); };
  info.onnx = [net](bool with_neck) { return joined(*net, with_neck); };
  info.weights = [net] {
    WeightFile file;
    file.source = net->backbone.source;
    file.tensors = net->own;
    file.metadata = net->backbone.metadata;
    return file;
  };
  return info;
}

WeightTensor transposed(const WeightTensor& t) {
  const std::vector<float> from = t.floats();
  std::vector<float> to(from.size());
  const size_t rows = size_t(t.shape[0]), columns = size_t(t.shape[1]);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  return WeightTensor::of({t.shape[1], t.shape[0]}, to);
}

// "fc" of "fc.weight", as PyTorch's exporter names it; other names say nothing.
std::string classifier_name(const Linear* l, const OnnxModel& model) {
  if (l && l->weight.ends_with(".weight")) {
    const std::string layer = l->weight.substr(0, l->weight.size() - 7);
    if (l->bias.empty() || l->bias == layer + ".bias") return layer;
  }
  std::string name = "classifier";
  while (model.initializers.count(name + ".weight") || model.initializers.count(name + ".bias")) name += "_";
  return name;
}

void take_classifier(Network& net, const Linear& l, const OnnxModel& model) {
  WeightTensor w = model.initializers.at(l.weight);
  if (w.shape.size() == 4) w.shape.resize(2);
  if (!l.turned) w = transposed(w);
  const int64_t classes = w.shape[0];
  net.own[net.classifier + ".weight"] = std::move(w);
  net.own[net.classifier + ".bias"] = l.bias.empty() ? WeightTensor::of({classes}, std::vector<float>(size_t(classes))) : model.initializers.at(l.bias);
}

Input input_of(const OnnxModel& model) {
  const auto images = [&](const OnnxPort& p) { return !model.initializers.count(p.name) && (!p.shape || p.shape->size() == 4); };
  const auto port = std::ranges::find_if(model.inputs, images);
  if (port == model.inputs.end()) throw UnsupportedOnnx(fmt::format("{}: none of its inputs takes images [n,c,h,w]", model.source));
  Input input{port->name};
  if (!port->shape) return input;
  const Dims s = {port->shape->at(0).size, port->shape->at(1).size, port->shape->at(2).size, port->shape->at(3).size};
  if (s[1] > 0 && s[1] != 1 && s[1] != 3)
    throw UnsupportedOnnx(fmt::format("{}: input '{}' takes {} channels, expected 1 or 3, in the order [n,c,h,w]", model.source, shown(port->name), s[1]));
  if (s[1] > 0) input.channels = int(s[1]);
  if (s[2] > 0 && s[2] == s[3] && s[2] <= 4096) input.size = int(s[2]);
  return input;
}

// Imports the parts once, for their constants.
void collect(Network& net) {
  Graph g;
  ModelOptions options;
  options.size = net.input.size;
  options.channels = net.input.channels;
  options.batch = int(kTried);
  Layers layers(g, options, {});
  const Value images = g.input("images", {{kTried, options.size, options.size, options.channels}, DType::f32});
  const Value map = as_map(layers, imported(layers, net.backbone, images, &net.own));
  if (net.neck) imported(layers, *net.neck, map, &net.own);
}

// PyTorch's exporter keeps equal weights once, and hands them on by Identity nodes: in training each is a weight of its own.
void give_each_its_own(OnnxModel& model) {
  std::erase_if(model.nodes, [&](const OnnxNode& n) {
    if (!is_standard(n, {"Identity"}) || n.in.size() != 1 || n.out.size() != 1 || !model.initializers.count(n.in[0])) return false;
    model.initializers[n.out[0]] = model.initializers.at(n.in[0]);
    return true;
  });
}

std::shared_ptr<Network> dissected(const OnnxModel& model, const Input& input) {
  if (model.outputs.empty()) throw UnsupportedOnnx(fmt::format("{}: it has no output", model.source));
  const std::string out = model.outputs[0].name;
  const Part whole = cut(model, input.name, out);
  if (!whole.complete) throw UnsupportedOnnx(fmt::format("{}: '{}' needs more inputs than '{}'", model.source, shown(out), shown(input.name)));
  std::map<std::string, Dims> shapes;
  {
    Graph g;
    ModelOptions options;
    options.batch = int(kTried);
    Layers layers(g, options, {});
    const Value images = g.input("images", {{kTried, input.size, input.size, input.channels}, DType::f32});
    try {
      imported(layers, whole.model, images, nullptr, &shapes);
    } catch (const Error& e) {
      fail("onnx", "{} (tried with {} images of {}x{}; a model that was exported for one image only cannot be trained)", e.what(), kTried, input.size, input.size);
    }
  }
  const Anatomy anatomy(whole.model, shapes);
  const std::optional<Linear> classifier = anatomy.classifier(out);
  auto net = std::make_shared<Network>();
  net->input = input;
  net->features = classifier ? classifier->features : out;
  net->map = anatomy.map(net->features, input.name);
  if (net->map.empty() || net->map == net->features) net->map = net->features;
  else net->neck = cut(whole.model, net->map, net->features).model;
  net->backbone = cut(whole.model, input.name, net->map).model;
  net->classifier = classifier_name(classifier ? &*classifier : nullptr, whole.model);
  collect(*net);
  if (classifier) take_classifier(*net, *classifier, whole.model);
  return net;
}

struct Known {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<ModelInfo>> by_reference;
};
Known& known() {
  static Known all;
  return all;
}

const ModelInfo& keep(const std::string& reference, ModelInfo info) {
  const std::lock_guard lock(known().mutex);
  auto& place = known().by_reference[reference];
  if (!place) place = std::make_unique<ModelInfo>(std::move(info));
  return *place;
}

const ModelInfo* kept(const std::string& reference) {
  const std::lock_guard lock(known().mutex);
  const auto it = known().by_reference.find(reference);
  return it == known().by_reference.end() ? nullptr : it->second.get();
}

}  // namespace

bool is_onnx_path(std::string_view model) { return model.ends_with(".onnx"); }

const ModelInfo& onnx_network(const std::string& path) {
  const std::string absolute = fs::absolute(path).lexically_normal().string();
  if (const ModelInfo* info = kept(absolute)) return *info;
  return onnx_network(path, absolute);
}

const ModelInfo& onnx_network(const std::string& path, const std::string& reference) {
  if (const ModelInfo* info = kept(reference)) return *info;
  OnnxModel model = read_onnx(path);
  give_each_its_own(model);
  ModelInfo info = info_of(dissected(model, input_of(model)), fs::path(reference).filename().string());
  check_names(info.weights());
  info.origin = reference;
  return keep(reference, std::move(info));
}

const ModelInfo& onnx_network_from(const std::string& definition, const std::string& name, const std::map<std::string, WeightTensor>& tensors, const std::string& source) {
  OnnxModel model = parse_onnx(std::as_bytes(std::span(definition)), source);
  const auto named = [&](const char* key) {
    const auto it = model.metadata.find(key);
    if (it == model.metadata.end()) fail("weights", "{}: the network's definition lacks '{}'. Fix: the file is damaged", source, key);
    return it->second;
  };
  auto net = std::make_shared<Network>();
  const auto number = [&](const char* key, int lowest, int highest) {
    const std::string text = named(key);
    int value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ptr != text.data() + text.size() || end.ec != std::errc() || value < lowest || value > highest)
      fail("weights", "{}: the network's definition: '{}' is '{}', expected {} to {}. Fix: the file is damaged", source, key, shown(text), lowest, highest);
    return value;
  };
  net->input = {named(kImages), number(kSize, 1, 4096), number(kChannels, 1, 3)};
  net->map = named(kMap);
  net->features = named(kFeatures);
  net->classifier = named(kClassifier);
  for (const OnnxPort& p : model.inputs) {
    if (p.name == net->input.name) continue;
    const auto tensor = tensors.find(p.name);
    Dims shape;
    if (p.shape)
      for (const OnnxDim& d : *p.shape) shape.push_back(d.size);
    if (tensor == tensors.end() || tensor->second.shape != shape)
      fail("weights", "{}: '{}' [{}] of the network's definition is not in the file. Fix: the file is damaged", source, shown(p.name), fmt::join(shape, ","));
    model.initializers[p.name] = tensor->second;
  }
  if (model.outputs.empty() || (model.outputs[0].name != net->map && model.outputs[0].name != net->features))
    fail("weights", "{}: the network's definition ends in neither '{}' nor '{}'. Fix: the file is damaged", source, shown(net->map), shown(net->features));
  // The same definition with other weights is the same network: what they are does not matter from here on.
  const std::string reference = name + '\0' + definition;
  if (const ModelInfo* info = kept(reference)) return *info;
  const auto part = [&](const std::string& from, const std::string& to) {
    Part p = cut(model, from, to);
    if (!p.complete) fail("weights", "{}: the network's definition does not lead from '{}' to '{}'. Fix: the file is damaged", source, shown(from), shown(to));
    return std::move(p.model);
  };
  net->backbone = part(net->input.name, net->map);
  if (net->map != net->features && model.outputs[0].name == net->features) net->neck = part(net->map, net->features);
  collect(*net);
  return keep(reference, info_of(net, name));
}

OnnxModel export_onnx_network(const ModelInfo& info, const ModelOptions& asked, const std::map<std::string, std::vector<float>>& values, const OnnxExportOptions& options) {
  ModelOptions o = asked;
  if (o.dropout == -1) o.dropout = info.default_dropout;
  const bool with_neck = is_default_head(o.head);
  OnnxModel model = info.onnx(with_neck);
  for (auto& [name, tensor] : model.initializers)
    if (const auto trained = values.find(name); trained != values.end() && int64_t(trained->second.size()) == tensor.elements())
      tensor = WeightTensor::of(tensor.shape, trained->second);
  const std::string end = model.outputs[0].name;

  // The head in a graph of its own, over what the file's nodes end in.
  Shape in;
  {
    Graph g;
    Layers layers(g, o, {});
    Value v = info.backbone(layers, g.input("images", {{1, o.size, o.size, o.channels}, DType::f32}));
    if (with_neck) v = info.neck(layers, v);
    in = g.shape(v);
    for (const Value s : g.states())
      if (g.info(s).state.trainable && !model.initializers.count(g.info(s).name))
        throw UnsupportedOnnx(fmt::format("{}: '{}' was trained, but is no initializer of the model", model.source, shown(g.info(s).name)));
  }
  Graph g;
  Layers layers(g, o, {});
  layers.begin_head();
  ModelInfo head = info;
  head.neck = [](Layers& l, Value map) { return as_row(l, map); };
  const std::string prefix = "head/";
  const Value map = g.input(prefix + "in", {in, DType::f32});
  const BuiltModel built = build_head(head, layers, map);
  if (built.logits) g.output(built.logits, "logits");
  if (built.valence) g.output(built.valence, "valence");
  if (built.arousal) g.output(built.arousal, "arousal");
  OnnxModel tail = export_onnx(g, values, options);
  // The file's nodes keep their opset; the head's are the same from 14 on.
  constexpr int64_t kLowest = 14;
  if (model.opsets[""] < kLowest)
    throw UnsupportedOnnx(fmt::format("{}: got opset {}, expected {} or more to write it with a head. Fix: convert it with onnx.version_converter", model.source, model.opsets[""], kLowest));

  // What the file ends in may have dimensions of 1 that the head does not.
  model.nodes.push_back({.op = "Reshape", .name = prefix + "reshape", .in = {end, prefix + "shape"}, .out = {prefix + "in"}});
  std::vector<int64_t> dims = {-1};
  if (in.rank() == 4) dims.insert(dims.end(), {in[3], in[1], in[2]});
  else dims.push_back(in[1]);
  model.initializers[prefix + "shape"] = WeightTensor::of({int64_t(dims.size())}, dims);
  std::set<std::string> taken;
  for (const OnnxNode& n : model.nodes) taken.insert(n.out.begin(), n.out.end());
  for (const auto& [name, tensor] : model.initializers) taken.insert(name);
  for (const OnnxPort& p : model.inputs) taken.insert(p.name);
  const auto checked = [&](const std::string& name) {
    if (taken.count(name)) throw UnsupportedOnnx(fmt::format("{}: '{}' is a name of the head, too. Fix: rename it in the model", model.source, shown(name)));
  };
  for (const auto& [name, tensor] : tail.initializers) checked(name);
  for (const OnnxNode& n : tail.nodes)
    for (const std::string& out : n.out) checked(out);
  model.initializers.insert(tail.initializers.begin(), tail.initializers.end());
  model.nodes.insert(model.nodes.end(), tail.nodes.begin(), tail.nodes.end());
  model.outputs = tail.outputs;
  model.inputs[0].shape = std::vector<OnnxDim>{{-1, options.batch}, {o.channels, {}}, {o.size, {}}, {o.size, {}}};
  return model;
}

}  // namespace vkfer
