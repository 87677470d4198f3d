#include "models/weights/names.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>
#include <span>

#include "models/weights/bytes.h"
#include "models/weights/keras.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

// Dropped when every tensor has it: DataParallel, torch.compile, and what Lightning and others call their network.
constexpr std::string_view kPrefixes[] = {"module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder."};

struct Rename {
  std::string_view from, to;
};

// `count` blocks: from + index + ".", to + (first + index) + "."; inside, the layers as `layers` has them. Keras has other
// separators, and counts from 1 or by letters.
struct Blocks {
  std::string_view from, to;
  int first, count;
  std::span<const Rename> layers;
  std::string_view from_first = "0", from_separator = ".", to_separator = ".";
};

struct NameMap {
  std::string_view name;
  std::span<const Rename> layers;                // outside of blocks
  std::span<const Blocks> blocks;
  const struct KerasRow* keras = nullptr;        // of Keras' names
};

// ---- timm's EfficientNet family (MobileNetV2 is one): conv_stem, bn1, blocks.STAGE.BLOCK.*, conv_head, bn2, classifier
constexpr Rename kMobileNetV2Layers[] = {{"conv_stem", "features.0.0"}, {"bn1", "features.0.1"},    {"conv_head", "features.18.0"},
                                         {"bn2", "features.18.1"},      {"classifier", "classifier.1"}};
constexpr Rename kMobileNetV2First[] = {{"conv_dw", "conv.0.0"}, {"bn1", "conv.0.1"}, {"conv_pw", "conv.1"}, {"bn2", "conv.2"}};
constexpr Rename kMobileNetV2Block[] = {{"conv_pw", "conv.0.0"}, {"bn1", "conv.0.1"}, {"conv_dw", "conv.1.0"},
                                        {"bn2", "conv.1.1"},     {"conv_pwl", "conv.2"}, {"bn3", "conv.3"}};
constexpr Blocks kMobileNetV2Blocks[] = {
    {"blocks.0.", "features.", 1, 1, kMobileNetV2First},  {"blocks.1.", "features.", 2, 2, kMobileNetV2Block},
    {"blocks.2.", "features.", 4, 3, kMobileNetV2Block},  {"blocks.3.", "features.", 7, 4, kMobileNetV2Block},
    {"blocks.4.", "features.", 11, 3, kMobileNetV2Block}, {"blocks.5.", "features.", 14, 3, kMobileNetV2Block},
    {"blocks.6.", "features.", 17, 1, kMobileNetV2Block}};

constexpr Rename kEfficientNetLayers[] = {{"conv_stem", "features.0.0"}, {"bn1", "features.0.1"},   {"conv_head", "features.8.0"},
                                          {"bn2", "features.8.1"},       {"classifier", "classifier.1"}};
constexpr Rename kEfficientNetFirst[] = {{"conv_dw", "block.0.0"},       {"bn1", "block.0.1"},     {"se.conv_reduce", "block.1.fc1"},
                                         {"se.conv_expand", "block.1.fc2"}, {"conv_pw", "block.2.0"}, {"bn2", "block.2.1"}};
constexpr Rename kEfficientNetBlock[] = {{"conv_pw", "block.0.0"}, {"bn1", "block.0.1"}, {"conv_dw", "block.1.0"}, {"bn2", "block.1.1"},
                                         {"se.conv_reduce", "block.2.fc1"}, {"se.conv_expand", "block.2.fc2"}, {"conv_pwl", "block.3.0"}, {"bn3", "block.3.1"}};
constexpr Blocks kEfficientNetB0Blocks[] = {
    {"blocks.0.", "features.1.", 0, 1, kEfficientNetFirst}, {"blocks.1.", "features.2.", 0, 2, kEfficientNetBlock},
    {"blocks.2.", "features.3.", 0, 2, kEfficientNetBlock}, {"blocks.3.", "features.4.", 0, 3, kEfficientNetBlock},
    {"blocks.4.", "features.5.", 0, 3, kEfficientNetBlock}, {"blocks.5.", "features.6.", 0, 4, kEfficientNetBlock},
    {"blocks.6.", "features.7.", 0, 1, kEfficientNetBlock}};

// ---- Keras applications. Weights of theirs come in torch's order already, see keras.h.
struct KerasRow {
  bool same_padding;
  double eps, momentum;                          // as torch means it: Keras' is 1 less this
  std::string_view preprocessing, stem;          // "": in the model, as its `normalization` says; the filter that takes the image
};

constexpr Rename kKerasMobileNetV2Layers[] = {
    {"Conv1", "features.0.0"}, {"bn_Conv1", "features.0.1"}, {"expanded_conv_depthwise", "features.1.conv.0.0"}, {"expanded_conv_depthwise_BN", "features.1.conv.0.1"},
    {"expanded_conv_project", "features.1.conv.1"}, {"expanded_conv_project_BN", "features.1.conv.2"}, {"Conv_1", "features.18.0"}, {"Conv_1_bn", "features.18.1"},
    {"predictions", "classifier.1"}, {"Logits", "classifier.1"}};
constexpr Rename kKerasMobileNetV2Block[] = {{"expand", "conv.0.0"}, {"expand_BN", "conv.0.1"}, {"depthwise", "conv.1.0"}, {"depthwise_BN", "conv.1.1"},
                                             {"project", "conv.2"}, {"project_BN", "conv.3"}};
constexpr Blocks kKerasMobileNetV2Blocks[] = {{"block_", "features.", 2, 16, kKerasMobileNetV2Block, "1", "_"}};
constexpr KerasRow kKerasMobileNetV2 = {true, 1e-3, 1e-3, "half", "features.0.0"};

constexpr Rename kKerasEfficientNetLayers[] = {{"stem_conv", "features.0.0"}, {"stem_bn", "features.0.1"}, {"top_conv", "features.8.0"}, {"top_bn", "features.8.1"},
                                               {"predictions", "classifier.1"}};
constexpr Rename kKerasEfficientNetFirst[] = {{"dwconv", "block.0.0"}, {"bn", "block.0.1"}, {"se_reduce", "block.1.fc1"}, {"se_expand", "block.1.fc2"},
                                              {"project_conv", "block.2.0"}, {"project_bn", "block.2.1"}};
constexpr Rename kKerasEfficientNetBlock[] = {{"expand_conv", "block.0.0"}, {"expand_bn", "block.0.1"}, {"dwconv", "block.1.0"}, {"bn", "block.1.1"},
                                              {"se_reduce", "block.2.fc1"}, {"se_expand", "block.2.fc2"}, {"project_conv", "block.3.0"}, {"project_bn", "block.3.1"}};
constexpr Blocks kKerasEfficientNetB0Blocks[] = {
    {"block1", "features.1.", 0, 1, kKerasEfficientNetFirst, "a", "_"}, {"block2", "features.2.", 0, 2, kKerasEfficientNetBlock, "a", "_"},
    {"block3", "features.3.", 0, 2, kKerasEfficientNetBlock, "a", "_"}, {"block4", "features.4.", 0, 3, kKerasEfficientNetBlock, "a", "_"},
    {"block5", "features.5.", 0, 3, kKerasEfficientNetBlock, "a", "_"}, {"block6", "features.6.", 0, 4, kKerasEfficientNetBlock, "a", "_"},
    {"block7", "features.7.", 0, 1, kKerasEfficientNetBlock, "a", "_"}};
constexpr KerasRow kKerasEfficientNet = {true, 1e-3, 1e-2, "", "features.0.0"};

constexpr Rename kKerasVgg16Layers[] = {
    {"block1_conv1", "features.0"},  {"block1_conv2", "features.2"},  {"block2_conv1", "features.5"},  {"block2_conv2", "features.7"},  {"block3_conv1", "features.10"},
    {"block3_conv2", "features.12"}, {"block3_conv3", "features.14"}, {"block4_conv1", "features.17"}, {"block4_conv2", "features.19"}, {"block4_conv3", "features.21"},
    {"block5_conv1", "features.24"}, {"block5_conv2", "features.26"}, {"block5_conv3", "features.28"}, {"fc1", "classifier.0"},         {"fc2", "classifier.3"},
    {"predictions", "classifier.6"}};
constexpr Rename kKerasVgg19Layers[] = {
    {"block1_conv1", "features.0"},  {"block1_conv2", "features.2"},  {"block2_conv1", "features.5"},  {"block2_conv2", "features.7"},  {"block3_conv1", "features.10"},
    {"block3_conv2", "features.12"}, {"block3_conv3", "features.14"}, {"block3_conv4", "features.16"}, {"block4_conv1", "features.19"}, {"block4_conv2", "features.21"},
    {"block4_conv3", "features.23"}, {"block4_conv4", "features.25"}, {"block5_conv1", "features.28"}, {"block5_conv2", "features.30"}, {"block5_conv3", "features.32"},
    {"block5_conv4", "features.34"}, {"fc1", "classifier.0"},         {"fc2", "classifier.3"},         {"predictions", "classifier.6"}};
constexpr KerasRow kKerasVgg = {false, 0, 0, "caffe", "features.0"};

// Ours are Keras' own, but for what they were before 2019: res2a_branch2a, whose batch norms had an epsilon of 1e-3.
constexpr Rename kKerasResNetLayers[] = {{"conv1_conv", "conv1_conv"}, {"predictions", "predictions"}};
constexpr Rename kKerasResNetOldLayers[] = {{"conv1", "conv1_conv"}, {"bn_conv1", "conv1_bn"}, {"fc1000", "predictions"}};
constexpr Rename kKerasResNetOldConv[] = {{"branch1", "0_conv"}, {"branch2a", "1_conv"}, {"branch2b", "2_conv"}, {"branch2c", "3_conv"}};
constexpr Rename kKerasResNetOldNorm[] = {{"branch1", "0_bn"}, {"branch2a", "1_bn"}, {"branch2b", "2_bn"}, {"branch2c", "3_bn"}};
constexpr Blocks kKerasResNet50OldBlocks[] = {
    {"res2", "conv2_block", 1, 3, kKerasResNetOldConv, "a", "_", "_"}, {"bn2", "conv2_block", 1, 3, kKerasResNetOldNorm, "a", "_", "_"},
    {"res3", "conv3_block", 1, 4, kKerasResNetOldConv, "a", "_", "_"}, {"bn3", "conv3_block", 1, 4, kKerasResNetOldNorm, "a", "_", "_"},
    {"res4", "conv4_block", 1, 6, kKerasResNetOldConv, "a", "_", "_"}, {"bn4", "conv4_block", 1, 6, kKerasResNetOldNorm, "a", "_", "_"},
    {"res5", "conv5_block", 1, 3, kKerasResNetOldConv, "a", "_", "_"}, {"bn5", "conv5_block", 1, 3, kKerasResNetOldNorm, "a", "_", "_"}};
constexpr KerasRow kKerasResNet = {false, 1.001e-5, 1e-2, "caffe", "conv1_conv"}, kKerasResNetOld = {false, 1e-3, 1e-2, "caffe", "conv1_conv"};

constexpr NameMap kMaps[] = {
    {"timm's mobilenetv2", kMobileNetV2Layers, kMobileNetV2Blocks},
    {"timm's efficientnet_b0", kEfficientNetLayers, kEfficientNetB0Blocks},
};
constexpr NameMap kKerasMaps[] = {
    {"Keras' MobileNetV2", kKerasMobileNetV2Layers, kKerasMobileNetV2Blocks, &kKerasMobileNetV2},
    {"Keras' EfficientNetB0", kKerasEfficientNetLayers, kKerasEfficientNetB0Blocks, &kKerasEfficientNet},
    {"Keras' VGG16", kKerasVgg16Layers, {}, &kKerasVgg},
    {"Keras' VGG19", kKerasVgg19Layers, {}, &kKerasVgg},
    {"Keras' ResNet50", kKerasResNetLayers, {}, &kKerasResNet},
    {"Keras' ResNet50 of before 2019", kKerasResNetOldLayers, kKerasResNet50OldBlocks, &kKerasResNetOld},
};

// "conv_stem.weight" -> "features.0.0.weight"; "" when the table has no such layer.
std::string layer_name(std::string_view name, std::span<const Rename> layers) {
  for (const Rename& r : layers)
    if (name.starts_with(r.from) && name.substr(r.from.size()).starts_with('.')) return std::string(r.to) + std::string(name.substr(r.from.size()));
  return {};
}

// "0", "1" or "a", and i further.
std::string index_text(std::string_view first, int i) {
  return first == "a" ? std::string(1, char('a' + i)) : std::to_string(first[0] - '0' + i);
}

std::string mapped(std::string_view name, const NameMap& map) {
  for (const Blocks& b : map.blocks)
    for (int i = 0; i < b.count; ++i) {
      const std::string from = std::string(b.from) + index_text(b.from_first, i) + std::string(b.from_separator);
      if (!name.starts_with(from)) continue;
      const std::string inside = layer_name(name.substr(from.size()), b.layers);
      if (!inside.empty()) return std::string(b.to) + std::to_string(b.first + i) + std::string(b.to_separator) + inside;
    }
  const std::string outside = layer_name(name, map.layers);
  return outside.empty() ? std::string(name) : outside;
}

// The network as the file's names are for.
Graph network_of(const ModelInfo& model, const std::string& head) {
  Graph graph;
  ModelOptions options;
  options.size = model.default_size;
  options.head = head;
  const Value images = graph.input("images", {{1, options.size, options.size, options.channels}, DType::f32});
  build_model(model, graph, images, {}, options);
  return graph;
}

std::set<std::string> names_of(const Graph& graph) {
  std::set<std::string> names;
  for (const Value v : graph.states()) names.insert(graph.info(v).name);
  return names;
}

std::string layer_of(std::string_view tensor) { return std::string(tensor.substr(0, tensor.rfind('.'))); }

template <class F>
void rename(WeightFile& file, F&& new_name) {
  std::map<std::string, WeightTensor> renamed;
  for (auto& [name, tensor] : file.tensors) {
    std::string to = new_name(name);
    if (renamed.count(to)) fail("weights", "{}: '{}' and another tensor both mean '{}'. Fix: save one network in a file", file.source, shown(name), shown(to));
    renamed.emplace(std::move(to), std::move(tensor));
  }
  file.tensors = std::move(renamed);
  for (std::string& layer : file.order) layer = layer_of(new_name(layer + ".weight"));
}

template <class F>
size_t hits(const WeightFile& file, const std::set<std::string>& wanted, F&& new_name) {
  return size_t(std::ranges::count_if(file.tensors, [&](const auto& t) { return wanted.count(new_name(t.first)) != 0; }));
}

// ---- Keras

enum class LayerKind { conv2d, depthwise_conv2d, batch_normalization, dense };
constexpr std::string_view kKindNames[] = {"conv2d", "depthwise_conv2d", "batch_normalization", "dense"};
using LayersByKind = std::map<LayerKind, std::vector<std::string>>;

// Our layers in the order in which they are built.
LayersByKind layers_by_kind(const Graph& graph) {
  LayersByKind layers;
  for (const Value v : graph.states()) {
    const ValueInfo& info = graph.info(v);
    const Shape& s = info.desc.shape;
    if (info.name.ends_with(".running_mean")) layers[LayerKind::batch_normalization].push_back(layer_of(info.name));
    if (info.state.layout == Layout::filter) layers[s[0] > 1 && s[2] == 1 && s[3] > 1 ? LayerKind::depthwise_conv2d : LayerKind::conv2d].push_back(layer_of(info.name));
    if (info.name.ends_with(".weight") && s.rank() == 2) layers[LayerKind::dense].push_back(layer_of(info.name));
  }
  // Keras has a block's shortcut where its depth puts it: before the third convolution.
  for (auto& [kind, names] : layers)
    for (size_t i = 0; i + 2 < names.size(); ++i)
      if (names[i].find("_block") != std::string::npos && names[i].find("_0_") != std::string::npos) {
        std::rotate(names.begin() + ptrdiff_t(i), names.begin() + ptrdiff_t(i) + 1, names.begin() + ptrdiff_t(i) + 3);
        i += 2;
      }
  return layers;
}

// "functional.conv2d_12": a layer that Keras 3 numbers instead of naming it.
std::optional<LayerKind> numbered_kind(std::string_view layer) {
  layer = layer.substr(layer.rfind('.') + 1);
  const size_t digits = layer.find_last_not_of("0123456789") + 1;
  if (digits > 1 && digits < layer.size() && layer[digits - 1] == '_') layer = layer.substr(0, digits - 1);
  const auto it = std::ranges::find(kKindNames, layer);
  if (it == std::end(kKindNames)) return std::nullopt;
  return LayerKind(it - std::begin(kKindNames));
}

// Our names for the file's layers by their order, where it numbers convolutions and norms, has them all in one model, and as
// many as this network. Shapes are checked later, as always.
std::map<std::string, std::string> names_by_order(const WeightFile& file, const LayersByKind& ours) {
  LayersByKind theirs;
  std::set<std::string> models;
  for (const std::string& layer : file.order) {
    const auto kind = numbered_kind(layer);
    if (!kind || *kind == LayerKind::dense) continue;
    theirs[*kind].push_back(layer);
    models.insert(layer_of("." + layer));
  }
  std::map<std::string, std::string> names;
  if (models.size() != 1) return names;
  for (const auto& [kind, layers] : ours) {
    if (kind == LayerKind::dense) continue;
    if (theirs[kind].size() != layers.size()) return {};
    for (size_t i = 0; i < layers.size(); ++i) names[theirs[kind][i]] = layers[i];
  }
  return names;
}

// Dense layers and norms that no table knows are a head of one's own: they take the names that are left by their order, where
// there are as many and all of them fit: another head than ours is left alone, and --weights gives the backbone only.
void pair_heads(WeightFile& file, const LayersByKind& ours, const Graph& graph, const std::string& classifier) {
  // How many classes there are is the file's to say.
  const auto fits = [&](const std::string& theirs, const std::string& layer, std::string_view tensor) {
    std::vector<int64_t> got = file.tensors.at(theirs + std::string(tensor)).shape, wanted = torch_shape(graph.info(graph.find(layer + std::string(tensor))));
    if (layer == classifier && !got.empty()) got[0] = wanted[0];
    return got == wanted;
  };
  static constexpr std::pair<LayerKind, std::string_view> kHeadKinds[] = {{LayerKind::dense, ".weight"}, {LayerKind::batch_normalization, ".running_mean"}};
  for (const auto& [kind, tensor] : kHeadKinds) {
    const auto it = ours.find(kind);
    if (it == ours.end()) continue;
    const std::set<std::string> known(it->second.begin(), it->second.end());
    std::vector<std::string> free, left;
    for (const std::string& layer : file.order) {
      const auto t = file.tensors.find(layer + std::string(tensor));
      const bool is_one = t != file.tensors.end() && (kind != LayerKind::dense || t->second.shape.size() == 2);
      if (is_one && !known.count(layer) && !std::ranges::count(free, layer)) free.push_back(layer);
    }
    for (const std::string& layer : it->second)
      if (!file.tensors.count(layer + std::string(tensor))) left.push_back(layer);
    if (free.empty() || free.size() != left.size()) continue;
    bool all_fit = true;
    for (size_t i = 0; i < free.size(); ++i) all_fit = all_fit && fits(free[i], left[i], tensor);
    if (!all_fit) {
      file.notes.push_back(fmt::format("layers of the file's own head ('{}', ...) do not fit the head asked for", shown(free[0])));
      continue;
    }
    std::map<std::string, std::string> names;
    for (size_t i = 0; i < free.size(); ++i) {
      names[free[i]] = left[i];
      file.notes.push_back(fmt::format("'{}' was taken for {}", shown(free[i]), left[i]));
    }
    rename(file, [&](const std::string& name) {
      const auto n = names.find(layer_of(name));
      return n == names.end() ? name : n->second + name.substr(n->first.size());
    });
  }
}

// Keras' Dense may have no bias, which is one of zeros.
void add_biases(WeightFile& file, const LayersByKind& ours) {
  const auto dense = ours.find(LayerKind::dense);
  if (dense == ours.end()) return;
  for (const std::string& layer : dense->second) {
    const auto weight = file.tensors.find(layer + ".weight");
    if (weight == file.tensors.end() || weight->second.shape.size() != 2 || file.tensors.count(layer + ".bias")) continue;
    file.set(layer + ".bias", {weight->second.shape[0]}, std::vector<float>(size_t(weight->second.shape[0])));
    file.notes.push_back(fmt::format("{} has no bias: it was given one of zeros", layer));
  }
}

// Keras flattens pixel by pixel, torch channel by channel: [rows, pixels, c] -> [rows, c, pixels].
void reorder_flattened(WeightFile& file, const Graph& graph) {
  for (const Value v : graph.states()) {
    const ValueInfo& info = graph.info(v);
    const auto it = file.tensors.find(info.name);
    if (info.state.layout != Layout::linear_flatten || it == file.tensors.end() || it->second.shape.empty()) continue;
    WeightTensor& t = it->second;
    const size_t in = size_t(t.shape.back()), c = size_t(info.state.flatten_from.last()), element = stored_bytes(t.type);
    if (in == 0 || in % c) continue;               // of another shape: refused where it is used
    std::vector<std::byte> bytes(t.bytes.size());
    for (size_t row = 0; row < bytes.size() / (in * element); ++row)
      for (size_t p = 0; p < in / c; ++p)
        for (size_t k = 0; k < c; ++k) std::memcpy(bytes.data() + (row * in + k * (in / c) + p) * element, t.bytes.data() + (row * in + p * c + k) * element, element);
    t.bytes = std::move(bytes);
  }
}

// Takes a `normalization` layer (of inputs divided by 255) out of the file. Keras divides by the root of its variance; where that
// "variance" is the standard deviation of ImageNet the network divides by another root of it (tensorflow issue 49930).
std::optional<Preprocessing> take_normalization(WeightFile& file) {
  std::optional<Preprocessing> found;
  for (const std::string& layer : file.order) {
    const auto mean = file.tensors.find(layer + ".mean"), variance = file.tensors.find(layer + ".variance");
    if (mean == file.tensors.end() || variance == file.tensors.end() || mean->second.elements() != 3 || variance->second.elements() != 3) continue;
    const std::vector<double> m = mean->second.doubles(), v = variance->second.doubles();
    const Preprocessing imagenet = preprocessing_from_name("imagenet");
    const auto near = [](const std::vector<double>& a, const std::vector<double>& b) {
      return std::ranges::equal(a, b, [](double x, double y) { return std::abs(x - y) < 1e-6; });
    };
    found = {"in the file", 1.0 / 255, m, {}};
    for (double x : v) found->std.push_back(std::sqrt(x));
    if (near(m, imagenet.mean) && (near(v, imagenet.std) || near(found->std, imagenet.std))) found = imagenet;
    if (near(m, {0, 0, 0}) && near(v, {1, 1, 1})) found = preprocessing_from_name("unit");
    for (const double x : found->std)
      if (!(x > 0) || !std::isfinite(x)) fail("weights", "{}: '{}' has a variance of {}, expected one above 0. Fix: save the model again", file.source, shown(layer), x * x);
    file.notes.push_back(fmt::format("'{}' became the preprocessing: {}", shown(layer), found->name));
    for (const char* part : {".mean", ".variance", ".count"}) file.tensors.erase(layer + part);
    break;
  }
  return found;
}

// Keras' "epsilon,momentum", as torch means the latter.
BatchNormChoice batch_norm_of(const WeightFile& file, const KerasRow& row) {
  const auto it = file.metadata.find(kKerasBatchNorm);
  double eps = 0, momentum = 0;
  if (it == file.metadata.end() || std::sscanf(it->second.c_str(), "%lf,%lf", &eps, &momentum) != 2 || !(eps > 0 && eps < 1) || !(momentum >= 0 && momentum < 1))
    return {row.eps, row.momentum};
  return {eps, 1 - momentum};
}

// The tables that speak of this network: all their layers are in it.
std::vector<const NameMap*> keras_maps(const LayersByKind& ours) {
  std::vector<const NameMap*> maps;
  for (const NameMap& map : kKerasMaps)
    if (std::ranges::all_of(map.layers, [&](const Rename& r) { return std::ranges::any_of(ours, [&](const auto& kind) { return std::ranges::count(kind.second, r.to) > 0; }); })) maps.push_back(&map);
  return maps;
}

WeightConventions adopt_keras(WeightFile& file, const ModelInfo& model, const std::string& head) {
  const Graph graph = network_of(model, head);
  const LayersByKind ours = layers_by_kind(graph), originals = layers_by_kind(network_of(model, ""));
  const std::set<std::string> wanted = names_of(graph);
  const NameMap* best = nullptr;
  size_t most = 0;
  const std::vector<const NameMap*> maps = keras_maps(originals);
  for (const NameMap* map : maps) {
    const size_t found = hits(file, wanted, [&](const std::string& name) { return mapped(name, *map); });
    if (found > most) best = map, most = found;
  }
  WeightConventions c;
  const auto normalization = take_normalization(file);
  const auto by_order = best || maps.empty() ? std::map<std::string, std::string>() : names_by_order(file, originals);
  if (best) {
    rename(file, [&](const std::string& name) { return mapped(name, *best); });
    file.notes.push_back(fmt::format("{}'s names were taken from {}", model.name, best->name));
  } else if (!by_order.empty()) {
    best = maps.front();
    rename(file, [&](const std::string& name) {
      const auto n = by_order.find(layer_of(name));
      return n == by_order.end() ? name : n->second + name.substr(n->first.size());
    });
    file.notes.push_back(fmt::format("{}'s names were taken from the order of the file's layers", model.name));
  } else {
    fail("weights", "{}: got Keras' layers '{}' and others, expected those of {}. Fix: choose the model these weights belong to; of Keras' networks mobilenetv2 (and its widths), efficientnet_b0, vgg16, vgg19 and resnet50_keras are known",
         file.source, shown(file.order.front()), maps.empty() ? "one of Keras' networks: " + model.name + " is none" : std::string(maps.front()->name));
  }
  pair_heads(file, ours, graph, classifier_of(model, head));
  add_biases(file, ours);
  reorder_flattened(file, graph);
  const KerasRow& row = *best->keras;
  c.same_padding = row.same_padding;
  c.batch_norm = batch_norm_of(file, row);
  c.preprocessing = row.preprocessing.empty() ? normalization : preprocessing_from_name(row.preprocessing);
  if (row.preprocessing == "caffe") c.reversed_stem = std::string(row.stem) + ".weight";
  return c;
}

}  // namespace

void reverse_channels(WeightTensor& t) {
  if (t.shape.size() != 4 || t.shape[1] != 3) return;
  const size_t plane = size_t(t.shape[2] * t.shape[3]) * stored_bytes(t.type);
  if (plane == 0) return;
  for (size_t at = 0; at + 3 * plane <= t.bytes.size(); at += 3 * plane)
    std::swap_ranges(t.bytes.begin() + ptrdiff_t(at), t.bytes.begin() + ptrdiff_t(at + plane), t.bytes.begin() + ptrdiff_t(at + 2 * plane));
}

WeightConventions adopt_names(WeightFile& file, const ModelInfo& model, const std::string& head) {
  if (!file.order.empty()) return adopt_keras(file, model, head);
  const std::set<std::string> wanted = names_of(network_of(model, ""));
  const auto same = [](const std::string& name) { return name; };
  for (bool again = true; again && !file.tensors.empty();) {
    again = false;
    for (const std::string_view prefix : kPrefixes) {
      const auto has = [&](const auto& t) { return t.first.starts_with(prefix); };
      if (hits(file, wanted, same) > 0 || !std::ranges::all_of(file.tensors, has)) continue;
      rename(file, [&](const std::string& name) { return name.substr(prefix.size()); });
      file.notes.push_back(fmt::format("the prefix '{}' of every name was dropped", prefix));
      again = true;
      break;
    }
  }
  const NameMap* best = nullptr;
  size_t most = hits(file, wanted, same);
  for (const NameMap& map : kMaps) {
    const size_t found = hits(file, wanted, [&](const std::string& name) { return mapped(name, map); });
    if (found > most) best = &map, most = found;
  }
  if (!best) return {};
  rename(file, [&](const std::string& name) { return mapped(name, *best); });
  file.notes.push_back(fmt::format("{}'s names were taken from {}", model.name, best->name));
  return {};
}

}  // namespace vkfer
