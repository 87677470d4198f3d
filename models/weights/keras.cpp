#include "models/weights/keras.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "models/weights/bytes.h"
#include "models/weights/h5.h"
#include "models/weights/zip.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

using Json = nlohmann::json;
using Names = std::map<std::string, std::string>;   // of layers, by their paths in a file of Keras 3

constexpr std::string_view kModelWeights = "model_weights", kVars = "/vars/", kWeightsMember = "model.weights.h5", kConfigMember = "config.json";
constexpr uint64_t kMaxConfigBytes = 64 << 20;

[[noreturn]] void refuse(const std::string& source, const std::string& what) { fail("keras", "{}: {}. Fix: save the model again", source, what); }

// ---- variables

struct VariableRow {
  std::string_view keras, torch;
};
constexpr VariableRow kVariables[] = {{"kernel", "weight"},     {"depthwise_kernel", "weight"}, {"bias", "bias"},
                                      {"gamma", "weight"},      {"beta", "bias"},               {"moving_mean", "running_mean"},
                                      {"moving_variance", "running_var"}};

// What Keras 3 numbers: the variables of a class in their order.
struct ClassRow {
  std::string_view name;
  std::vector<std::string_view> variables;
};
const ClassRow kClasses[] = {{"conv2d", {"kernel", "bias"}},
                             {"depthwise_conv2d", {"depthwise_kernel", "bias"}},
                             {"dense", {"kernel", "bias"}},
                             {"batch_normalization", {"gamma", "beta", "moving_mean", "moving_variance"}},
                             {"normalization", {"mean", "variance", "count"}}};

// Axis d of the result is axis axes[d] of `t`.
WeightTensor permuted(const WeightTensor& t, const std::vector<size_t>& axes) {
  const size_t rank = axes.size(), element = stored_bytes(t.type);
  std::vector<int64_t> stride(rank, 1), at(rank, 0);
  for (size_t d = rank - 1; d-- > 0;) stride[d] = stride[d + 1] * t.shape[d + 1];
  WeightTensor out{t.type, {}, std::vector<std::byte>(t.bytes.size())};
  for (size_t a : axes) out.shape.push_back(t.shape[a]);
  for (size_t to = 0; to < out.bytes.size(); to += element) {
    int64_t from = 0;
    for (size_t d = 0; d < rank; ++d) from += at[d] * stride[axes[d]];
    std::memcpy(out.bytes.data() + to, t.bytes.data() + size_t(from) * element, element);
    for (size_t d = rank; d-- > 0;) {
      if (++at[d] < out.shape[d]) break;
      at[d] = 0;
    }
  }
  return out;
}

// Kernels [h,w,in,out], depthwise ones [h,w,channels,multiplier], and dense ones [in,out] as torch has them.
WeightTensor torch_order(std::string_view variable, WeightTensor t) {
  if (variable == "kernel" && t.shape.size() == 4) return permuted(t, {3, 2, 0, 1});
  if (variable == "kernel" && t.shape.size() == 2) return permuted(t, {1, 0});
  if (variable == "depthwise_kernel" && t.shape.size() == 4) {
    WeightTensor out = permuted(t, {2, 3, 0, 1});
    out.shape = {t.shape[2] * t.shape[3], 1, t.shape[0], t.shape[1]};
    return out;
  }
  return t;
}

// The network that is being put together.
class Layers {
 public:
  explicit Layers(WeightFile& file) : file_(file) {}

  void add(const std::string& layer, std::string_view variable, const std::string& path, WeightTensor tensor) {
    std::string_view suffix = variable;
    for (const VariableRow& v : kVariables)
      if (v.keras == variable) suffix = v.torch;
    std::string name = layer + "." + std::string(suffix);
    if (file_.tensors.count(name)) refuse(file_.source, fmt::format("'{}': got two tensors for '{}', expected layers of different names", shown(path), shown(name)));
    if (file_.order.empty() || file_.order.back() != layer) file_.order.push_back(layer);
    file_.tensors.emplace(std::move(name), torch_order(variable, std::move(tensor)));
  }

 private:
  WeightFile& file_;
};

// ---- Keras 2: a group for each layer, whose attribute names its datasets

// The list `name`, or, when it was too long for an attribute, name0, name1, ...
std::optional<std::vector<std::string>> texts(const H5Texts& attributes, const std::string& name) {
  if (const auto it = attributes.find(name); it != attributes.end()) return it->second;
  std::vector<std::string> all;
  size_t i = 0;
  for (; attributes.count(name + std::to_string(i)); ++i) {
    const auto& part = attributes.at(name + std::to_string(i));
    all.insert(all.end(), part.begin(), part.end());
  }
  if (i == 0) return std::nullopt;
  return all;
}

// "a/block_1_expand/kernel:0" -> block_1_expand, kernel. Names without a slash are of the group's own layer.
std::pair<std::string, std::string> layer_and_variable(std::string_view group, std::string_view weight) {
  weight = weight.substr(0, weight.find(':'));
  const size_t slash = weight.rfind('/');
  if (slash == weight.npos) return {std::string(group.substr(group.rfind('/') + 1)), std::string(weight)};
  const std::string_view before = weight.substr(0, slash);
  return {std::string(before.substr(before.rfind('/') + 1)), std::string(weight.substr(slash + 1))};
}

// The one list of weights of a group; an empty list in HDF5 may be numbers, so none is like one that is empty.
std::vector<std::string> weight_names(const H5Contents& h5, const std::string& group, const std::string& source) {
  const auto it = h5.groups.find(group);
  if (it == h5.groups.end()) refuse(source, fmt::format("'{}': got no group, though layer_names has it", shown(group)));
  return texts(it->second, "weight_names").value_or(std::vector<std::string>{});
}

void read_keras_2(H5Contents& h5, const std::string& base, const std::vector<std::string>& layers, WeightFile& file) {
  Layers network(file);
  for (const std::string& layer : layers) {
    const std::string group = base.empty() ? layer : base + "/" + layer;
    for (const std::string& weight : weight_names(h5, group, file.source)) {
      auto dataset = h5.datasets.extract(group + "/" + weight);
      if (dataset.empty()) refuse(file.source, fmt::format("'{}': got no dataset (or it was named twice), though weight_names has it", shown(group + "/" + weight)));
      const auto [name, variable] = layer_and_variable(layer, weight);
      network.add(name, variable, group + "/" + weight, std::move(dataset.mapped()));
    }
  }
  const std::string inside = base.empty() ? "" : base + "/";
  for (const auto& [path, tensor] : h5.datasets)
    if (path.starts_with(inside) && !path.starts_with("optimizer_weights/")) refuse(file.source, fmt::format("'{}': got a dataset that no weight_names has", shown(path)));
}

// ---- Keras 3: layers/<class>[_<n>]/vars/<i>, nested in layers/<model>/

// "ReLU" -> "re_lu", "DepthwiseConv2D" -> "depthwise_conv2d": how Keras makes paths of classes.
std::string snake_case(std::string_view name) {
  const auto upper = [&](size_t i) { return i < name.size() && name[i] >= 'A' && name[i] <= 'Z'; };
  const auto lower = [&](size_t i) { return i < name.size() && name[i] >= 'a' && name[i] <= 'z'; };
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (i > 0 && upper(i) && (lower(i + 1) || lower(i - 1))) out += '_';
    out += upper(i) ? char(name[i] - 'A' + 'a') : name[i];
  }
  return out;
}

// "conv2d_12" -> conv2d, 12.
std::pair<std::string, int> class_and_number(std::string_view component) {
  const size_t digits = component.find_last_not_of("0123456789") + 1;
  if (digits < 2 || digits == component.size() || component[digits - 1] != '_' || component.size() - digits > 6) return {std::string(component), 0};
  return {std::string(component.substr(0, digits - 1)), std::stoi(std::string(component.substr(digits)))};
}

// "layers/functional/layers/conv2d_1" -> functional.conv2d_1
std::string dotted(std::string_view path) {
  std::string out;
  for (size_t first = 0; first <= path.size();) {
    const size_t end = std::min(path.find('/', first), path.size());
    const std::string_view part = path.substr(first, end - first);
    if (part != "layers" && part != "_layer_checkpoint_dependencies") out += (out.empty() ? "" : ".") + std::string(part);
    first = end + 1;
  }
  return out;
}

// Not of the network: what training keeps, and the state of random numbers.
bool aside(std::string_view path) {
  for (const std::string_view part : {"optimizer", "metrics", "compile_metrics", "loss_tracker"})
    if (path == part || (path.starts_with(part) && path[part.size()] == '/')) return true;
  return path.ends_with("seed_generator");
}

struct Variable {
  std::string layer;        // path
  std::string component;    // its class, from the path
  int number;               // of the layer in its class
  size_t index;             // of the variable in the layer
  std::string path;         // of the dataset
};

void read_keras_3(H5Contents& h5, const Names& names, WeightFile& file) {
  std::vector<Variable> variables;
  size_t left_out = 0;
  for (const auto& [path, tensor] : h5.datasets) {
    const size_t at = path.rfind(kVars);
    const std::string_view index = at == path.npos ? "" : std::string_view(path).substr(at + kVars.size());
    if (index.empty() || index.size() > 6 || index.find_first_not_of("0123456789") != index.npos)
      refuse(file.source, fmt::format("'{}': got a dataset that is no variable, expected it to end in vars and a number", shown(path)));
    const std::string layer = path.substr(0, at);
    if (aside(layer)) {
      ++left_out;
      continue;
    }
    const auto [component, number] = class_and_number(std::string_view(layer).substr(layer.rfind('/') + 1));
    variables.push_back({layer, component, number, size_t(std::stoul(std::string(index))), path});
  }
  // As the layers come in their model: a class' numbers count up; models in each other in the order of their paths.
  std::ranges::stable_sort(variables, [](const Variable& a, const Variable& b) {
    const auto key = [](const Variable& v) { return std::tuple(std::string_view(v.layer).substr(0, v.layer.rfind('/') + 1), std::string_view(v.component), v.number, v.index); };
    return key(a) < key(b);
  });
  Layers network(file);
  for (const Variable& v : variables) {
    const auto row = std::ranges::find(kClasses, v.component, &ClassRow::name);
    const std::string variable = row != std::end(kClasses) && v.index < row->variables.size() ? std::string(row->variables[v.index]) : std::to_string(v.index);
    const H5Texts& attributes = h5.groups[v.layer + "/vars"];
    const auto name = attributes.find("name");
    const auto known = names.find(v.layer);
    const std::string layer = known != names.end()                                            ? known->second
                              : name != attributes.end() && name->second.size() == 1 && !name->second[0].empty() ? name->second[0]
                                                                                              : dotted(v.layer);
    network.add(layer, variable, v.path, std::move(h5.datasets.at(v.path)));
  }
  if (left_out) file.notes.push_back(fmt::format("{} variables of an optimizer, of metrics or of random numbers were left out", left_out));
}

// ---- config.json: the names of layers

Json parse_config(std::string_view text, const std::string& source) {
  constexpr int kMaxDepth = 100;
  bool deep = false;
  const auto callback = [&](int depth, Json::parse_event_t, Json&) { return !(deep = deep || depth > kMaxDepth); };
  Json config;
  try {
    config = Json::parse(text, callback);
  } catch (const Json::exception&) {
    refuse(source, "config: got no valid JSON");
  }
  if (deep) refuse(source, fmt::format("config: nests deeper than {}", kMaxDepth));
  return config;
}

const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

// Calls f(layer, path) for every layer of every model in the config, outer ones first.
template <class F>
void for_each_layer(const Json& config, F&& f) {
  struct Model {
    const Json* model;
    std::string path;
  };
  std::vector<Model> todo{{&config, ""}};
  while (!todo.empty()) {
    const Model m = std::move(todo.back());
    todo.pop_back();
    const Json* inner = find(*m.model, "config");
    const Json* layers = inner ? find(*inner, "layers") : nullptr;
    if (!layers || !layers->is_array()) continue;
    std::map<std::string, int> used;
    for (const Json& layer : *layers) {
      const Json *kind = find(layer, "class_name"), *config = find(layer, "config");
      if (!kind || !kind->is_string() || !config) continue;
      std::string component = snake_case(kind->get_ref<const std::string&>());
      if (const int n = used[component]++) component += "_" + std::to_string(n);
      const std::string path = m.path + "layers/" + component;
      f(layer, path);
      if (find(*config, "layers")) todo.push_back({&layer, path + "/"});
    }
  }
}

Names layer_names(const Json& config) {
  Names names;
  for_each_layer(config, [&](const Json& layer, const std::string& path) {
    const Json* name = find(layer.at("config"), "name");
    if (name && name->is_string()) names[path] = name->get<std::string>();
  });
  return names;
}

// One epsilon and momentum for all batch norms, as the config has them: kept for who builds the network.
void read_batch_norm(const Json& config, WeightFile& file) {
  std::set<std::pair<double, double>> found;
  for_each_layer(config, [&](const Json& layer, const std::string&) {
    const Json &kind = layer.at("class_name"), &c = layer.at("config");
    const Json *eps = find(c, "epsilon"), *momentum = find(c, "momentum");
    if (kind == "BatchNormalization" && eps && momentum && eps->is_number() && momentum->is_number()) found.emplace(eps->get<double>(), momentum->get<double>());
  });
  if (found.size() == 1) file.metadata[kKerasBatchNorm] = fmt::format("{},{}", found.begin()->first, found.begin()->second);
}

WeightFile read(std::span<const std::byte> bytes, const std::string& source, const Json& config) {
  H5Contents h5 = read_h5(bytes, source);
  WeightFile file;
  file.source = source;
  const std::string base = h5.groups.count(std::string(kModelWeights)) ? std::string(kModelWeights) : "";
  const H5Texts root = h5.groups.at(base), outer = h5.groups.at("");
  if (const auto layers = texts(root, "layer_names")) read_keras_2(h5, base, *layers, file);
  else if (std::ranges::any_of(h5.datasets, [](const auto& d) { return d.first.find(kVars) != d.first.npos; })) read_keras_3(h5, layer_names(config), file);
  else refuse(source, "got an HDF5 file with neither layer_names nor variables in it, expected one that Keras wrote");
  if (file.tensors.empty()) refuse(source, "got no weights in it");
  for (const char* key : {"keras_version", "backend"})
    for (const H5Texts* attributes : {&root, &outer})
      if (const auto it = attributes->find(key); it != attributes->end() && it->second.size() == 1) file.metadata[std::string(key).starts_with("keras") ? key : "keras_backend"] = it->second[0];
  if (const auto it = outer.find("model_config"); it != outer.end() && it->second.size() == 1) read_batch_norm(parse_config(it->second[0], source), file);
  else if (!config.is_null()) read_batch_norm(config, file);
  size_t optimizer = size_t(std::ranges::count_if(h5.datasets, [](const auto& d) { return d.first.starts_with("optimizer_weights/"); }));
  if (optimizer) file.notes.push_back(fmt::format("{} tensors of an optimizer were left out", optimizer));
  for (const std::string& path : h5.unread) file.notes.push_back(fmt::format("'{}' holds no numbers and was left out", shown(path)));
  return file;
}

}  // namespace

WeightFile parse_keras_h5(std::span<const std::byte> bytes, const std::string& source) { return read(bytes, source, {}); }

// The directory, where the names are, is at the end of a zip.
bool looks_like_keras_zip(std::span<const std::byte> bytes) {
  constexpr size_t kDirectory = 64 << 10;
  if (!looks_like_zip(bytes)) return false;
  return ByteReader::as_text(bytes.subspan(bytes.size() < kDirectory ? 0 : bytes.size() - kDirectory)).find(kWeightsMember) != std::string_view::npos;
}

WeightFile parse_keras_zip(std::span<const std::byte> bytes, const std::string& source) {
  ZipFile zip(bytes, source);
  for (const ZipMember& m : zip.members()) zip.read(m);  // whatever is in the file has its checksum verified
  const ZipMember *weights = zip.find(kWeightsMember), *config = zip.find(kConfigMember);
  if (!weights) refuse(source, fmt::format("got a zip archive without {}", kWeightsMember));
  if (!config) refuse(source, fmt::format("got a zip archive without {}", kConfigMember));
  if (config->size > kMaxConfigBytes) refuse(source, fmt::format("{}: got {} bytes, expected at most {}", kConfigMember, config->size, kMaxConfigBytes));
  const Json json = parse_config(ByteReader::as_text(zip.read(*config)), source + ":" + std::string(kConfigMember));
  WeightFile file = read(zip.read(*weights), source + ":" + std::string(kWeightsMember), json);
  file.source = source;
  return file;
}

}  // namespace vkfer
