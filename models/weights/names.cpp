#include "models/weights/names.h"

#include <algorithm>
#include <set>
#include <span>

#include "models/weights/bytes.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

// Dropped when every tensor has it: DataParallel, torch.compile, and what Lightning and others call their network.
constexpr std::string_view kPrefixes[] = {"module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder."};

struct Rename {
  std::string_view from, to;
};

// `count` blocks: from + index + ".", to + (first + index) + "."; inside, the layers as `layers` has them.
struct Blocks {
  std::string_view from, to;
  int first, count;
  std::span<const Rename> layers;
};

struct NameMap {
  std::string_view name;
  std::span<const Rename> layers;                // outside of blocks
  std::span<const Blocks> blocks;
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

constexpr NameMap kMaps[] = {
    {"timm's mobilenetv2", kMobileNetV2Layers, kMobileNetV2Blocks},
    {"timm's efficientnet_b0", kEfficientNetLayers, kEfficientNetB0Blocks},
};

// "conv_stem.weight" -> "features.0.0.weight"; "" when the table has no such layer.
std::string layer_name(std::string_view name, std::span<const Rename> layers) {
  for (const Rename& r : layers)
    if (name.starts_with(r.from) && name.substr(r.from.size()).starts_with('.')) return std::string(r.to) + std::string(name.substr(r.from.size()));
  return {};
}

std::string mapped(std::string_view name, const NameMap& map) {
  for (const Blocks& b : map.blocks)
    for (int i = 0; i < b.count; ++i) {
      const std::string from = std::string(b.from) + std::to_string(i) + ".";
      if (!name.starts_with(from)) continue;
      const std::string inside = layer_name(name.substr(from.size()), b.layers);
      return inside.empty() ? std::string(name) : std::string(b.to) + std::to_string(b.first + i) + "." + inside;
    }
  const std::string outside = layer_name(name, map.layers);
  return outside.empty() ? std::string(name) : outside;
}

std::set<std::string> names_of(const ModelInfo& model) {
  Graph graph;
  ModelOptions options;
  options.size = model.default_size;
  const Value images = graph.input("images", {{1, options.size, options.size, options.channels}, DType::f32});
  build_model(model, graph, images, {}, options);
  std::set<std::string> names;
  for (const Value v : graph.states()) names.insert(graph.info(v).name);
  return names;
}

template <class F>
void rename(WeightFile& file, F&& new_name) {
  std::map<std::string, WeightTensor> renamed;
  for (auto& [name, tensor] : file.tensors) {
    std::string to = new_name(name);
    if (renamed.count(to)) fail("weights", "{}: '{}' and another tensor both mean '{}'. Fix: save one network in a file", file.source, shown(name), shown(to));
    renamed.emplace(std::move(to), std::move(tensor));
  }
  file.tensors = std::move(renamed);
}

template <class F>
size_t hits(const WeightFile& file, const std::set<std::string>& wanted, F&& new_name) {
  return size_t(std::ranges::count_if(file.tensors, [&](const auto& t) { return wanted.count(new_name(t.first)) != 0; }));
}

}  // namespace

void adopt_names(WeightFile& file, const ModelInfo& model) {
  const std::set<std::string> wanted = names_of(model);
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
  if (!best) return;
  rename(file, [&](const std::string& name) { return mapped(name, *best); });
  file.notes.push_back(fmt::format("{}'s names were taken from {}", model.name, best->name));
}

}  // namespace vkfer
