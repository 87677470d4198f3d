#include "tools/train/saved_network.h"

#include <charconv>
#include <utility>

#include "models/onnx/import.h"
#include "models/onnx/network.h"
#include "models/weights/base64.h"
#include "models/weights/formats.h"
#include "models/weights/names.h"
#include "models/head.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr const char *kAffectOutputs = "classes,valence,arousal", *kAffectAlone = "valence,arousal";
constexpr const char* kDefinition = "network";   // metadata: ModelInfo::definition(), as base64

Json parse(const WeightFile& file, const std::string& key) {
  const auto it = file.metadata.find(key);
  if (it == file.metadata.end()) return {};
  try {
    return Json::parse(it->second);
  } catch (const nlohmann::json::exception&) {
    fail("weights", "{}: metadata '{}' is damaged: '{}'", file.source, key, it->second.substr(0, 100));
  }
}

int number(const WeightFile& file, const std::string& key, int fallback) {
  const auto it = file.metadata.find(key);
  if (it == file.metadata.end()) return fallback;
  int value = 0;
  const char* end = it->second.data() + it->second.size();
  if (std::from_chars(it->second.data(), end, value).ptr != end)
    fail("weights", "{}: metadata '{}' is no number: '{}'", file.source, key, it->second.substr(0, 100));
  return value;
}

// What the file says, unless the caller asks for something else.
int agree(const WeightFile& file, const char* option, int said, int asked) {
  if (asked && said && asked != said)
    fail(option, "got {}, but {} was trained with {}. Fix: leave {} out", asked, file.source, said, option);
  return said ? said : asked;
}

}  // namespace

bool is_same_padding(std::string_view name) {
  if (name == kSamePadding) return true;
  if (name != kTorchPadding) fail("--padding", "got '{}', expected {} or {}", name.substr(0, 100), kTorchPadding, kSamePadding);
  return false;
}

namespace {

// The networks of Keras that take B, G, R take R, G, B here: their first filter is turned around, under that preprocessing alone.
void settle_stem(SavedNetwork& saved) {
  const auto stem = saved.weights.tensors.find(saved.reversed_stem);
  const bool wanted = saved.network.preprocessing.name == "caffe";
  if (stem == saved.weights.tensors.end() || wanted == saved.stem_is_reversed) return;
  reverse_channels(stem->second);
  saved.stem_is_reversed = wanted;
}

}  // namespace

void set_conventions(SavedNetwork& saved, const std::string& preprocessing, const std::string& padding, const std::string& batch_norm) {
  NetworkSettings& n = saved.network;
  const auto check = [&](const char* option, const char* key, const std::string& asked, std::string_view said) {
    if (saved.weights.metadata.count(key) && asked != said)
      fail(option, "got {}, but {} was made with {}. Fix: leave {} out", asked, saved.weights.source, said, option);
  };
  if (!preprocessing.empty()) {
    check("--preprocessing", "preprocessing", preprocessing, n.preprocessing.name);
    if (!saved.weights.metadata.count("preprocessing")) n.preprocessing = preprocessing_from_name(preprocessing);
  }
  if (!padding.empty()) {
    check("--padding", "padding", padding, n.same_padding ? kSamePadding : kTorchPadding);
    n.same_padding = is_same_padding(padding);
  }
  if (!batch_norm.empty()) {
    const BatchNormChoice asked = batch_norm_from_text(batch_norm);
    check("--batch-norm", "batch_norm", batch_norm_text(asked), batch_norm_text(n.batch_norm));
    n.batch_norm = asked;
  }
  settle_stem(saved);
}

std::string follow_weights(TrainSettings& s) {
  if (s.weights.empty()) return {};
  SavedNetwork saved = read_network(s.weights, {.model = s.model, .head = s.head, .channels = s.channels, .classifier_may_be_absent = true});
  set_conventions(saved, "", s.padding, s.batch_norm);
  const Preprocessing &p = saved.network.preprocessing, known = preprocessing_from_name(p.name);
  if (p.scale != known.scale || p.mean != known.mean || p.std != known.std)
    fail("weights", "{}: its preprocessing is called '{}' but has other numbers. Fix: correct the file's metadata", s.weights, p.name);
  s.padding = saved.network.same_padding ? kSamePadding : kTorchPadding;
  s.batch_norm = batch_norm_text(saved.network.batch_norm);
  const std::string asked = std::exchange(s.preprocessing, p.name);
  if (asked.empty() || asked == p.name) return {};
  s.preprocessing = asked;
  const bool says = saved.weights.metadata.count("preprocessing") != 0;
  return fmt::format("the weights take input preprocessed as '{}'{}, and preprocessing is '{}': layers that train may adapt, frozen ones cannot. Fix: leave preprocessing out",
                     p.name, says ? "" : " unless they were made otherwise", asked);
}

void set_metadata(WeightFile& file, const NetworkSettings& n, const std::vector<std::string>& classes) {
  const Preprocessing& p = n.preprocessing;
  file.metadata["model"] = n.model->name;
  if (n.model->definition) file.metadata[kDefinition] = to_base64(n.model->definition(is_default_head(n.head)));
  file.metadata["size"] = std::to_string(n.size);
  if (!is_default_head(n.head)) file.metadata["head"] = n.head;
  file.metadata["channels"] = std::to_string(n.channels);
  file.metadata["classes"] = Json(classes).dump();
  if (n.valence_arousal) file.metadata["outputs"] = n.classes > 0 ? kAffectOutputs : kAffectAlone;
  if (n.same_padding) file.metadata["padding"] = kSamePadding;
  if (n.batch_norm.eps > 0) file.metadata["batch_norm"] = batch_norm_text(n.batch_norm);
  file.metadata["preprocessing"] = Json({{"name", p.name}, {"scale", p.scale}, {"mean", p.mean}, {"std", p.std}}).dump();
}

int classifier_rows(const WeightFile& file, const std::string& classifier) {
  const auto it = file.tensors.find(classifier + ".weight");
  return it == file.tensors.end() || it->second.shape.empty() ? 0 : int(it->second.shape[0]);
}

namespace {

// What an ONNX graph computes with beside its weights: lone numbers, as the 6 of a ReLU6, and shapes.
void leave_out_constants(WeightFile& file) {
  std::vector<std::string> names;
  std::erase_if(file.tensors, [&](const auto& named) {
    const auto& [name, tensor] = named;
    const bool constant = tensor.shape.empty() || device_type(tensor.type) != DType::f32;
    if (constant) names.push_back(name.substr(0, 100));
    return constant;
  });
  if (!names.empty()) file.notes.push_back(fmt::format("{} constants of the graph are left out: {}", names.size(), fmt::join(names, ", ")));
}

// The network that the file's weights are of. Those of an ONNX model get the names that they have in it.
const ModelInfo& model_of(WeightFile& file, const std::filesystem::path& path, const std::string& asked) {
  const auto named = file.metadata.find("model");
  if (const auto definition = file.metadata.find(kDefinition); definition != file.metadata.end()) {
    const std::optional<std::string> bytes = from_base64(definition->second);
    if (!bytes || named == file.metadata.end()) fail("weights", "{}: metadata '{}' is damaged. Fix: copy the file again", path.string(), kDefinition);
    return onnx_network_from(*bytes, named->second, file.tensors, path.string());
  }
  const bool onnx = file.format == kOnnxFormat;
  if (onnx && (asked.empty() ? named == file.metadata.end() : is_onnx_path(asked))) {
    const ModelInfo& info = onnx_network(path.string());
    const WeightFile own = info.weights();
    file.tensors = own.tensors;
    file.metadata = own.metadata;
    for (const char* key : {"model", "head", "padding", "batch_norm", "outputs"}) file.metadata.erase(key);   // the graph has it in itself
    return info;
  }
  if (named == file.metadata.end() && asked.empty())
    fail("--model", "{} does not say which network it belongs to. Fix: --model NAME", path.string());
  if (onnx) leave_out_constants(file);
  return find_model(named == file.metadata.end() ? asked : named->second);
}

bool is_same_model(const ModelInfo& a, const ModelInfo& b) {
  return &a == &b || (a.definition && b.definition && (a.definition(true) == b.definition(true) || a.definition(false) == b.definition(false)));
}

}  // namespace

SavedNetwork read_network(const std::filesystem::path& path, const NetworkHints& hints) {
  const std::string& model = hints.model;
  SavedNetwork saved;
  saved.weights = read_weights(path);
  WeightFile& file = saved.weights;
  const ModelInfo& info = model_of(file, path, model);
  const auto own_head = file.metadata.find("head");
  const std::string head = own_head != file.metadata.end() ? own_head->second : is_default_head(hints.head) ? "" : hints.head;
  if (!head.empty()) parse_head(head);
  const WeightConventions conventions = adopt_names(file, info, head);
  if (!model.empty() && !is_same_model(find_model(model), info))
    fail("--model", "got {}, but {} holds weights of {}", model, path.string(), info.name);

  NetworkSettings& n = saved.network;
  n.model = &info;
  n.size = agree(file, "--size", number(file, "size", 0), hints.size);
  if (n.size == 0) n.size = info.default_size;
  n.channels = agree(file, "--channels", number(file, "channels", 0), hints.channels);
  if (n.channels == 0) n.channels = info.channels ? info.channels : 3;
  if (own_head != file.metadata.end() || classifier_rows(file, classifier_of(info, head)) > 0) n.head = head;
  bool has_classes = true;
  if (const auto outputs = file.metadata.find("outputs"); outputs != file.metadata.end()) {
    if (outputs->second != kAffectOutputs && outputs->second != kAffectAlone)
      fail("weights", "{}: metadata 'outputs': got '{}', expected '{}' or '{}'", path.string(), outputs->second.substr(0, 100), kAffectOutputs, kAffectAlone);
    n.valence_arousal = true;
    has_classes = outputs->second == kAffectOutputs;
  }
  n.classes = has_classes ? classifier_rows(file, n.classifier()) : 0;
  if (n.classes < 1) n.classes = hints.classes;
  if (n.classes < 1 && has_classes && !hints.classifier_may_be_absent) fail("weights", "{}: no classifier '{}.weight' in it. Fix: name the --model that it is of, or vkfer import --partial --num-classes N gives it a new one", path.string(), n.classifier());
  n.preprocessing = conventions.preprocessing.value_or(info.preprocessing);
  n.same_padding = conventions.same_padding;
  n.batch_norm = conventions.batch_norm;
  saved.reversed_stem = conventions.reversed_stem;
  if (const auto batch_norm = file.metadata.find("batch_norm"); batch_norm != file.metadata.end()) n.batch_norm = batch_norm_from_text(batch_norm->second);
  if (const auto padding = file.metadata.find("padding"); padding != file.metadata.end()) n.same_padding = is_same_padding(padding->second);
  try {
    if (const Json p = parse(file, "preprocessing"); p.is_object())
      n.preprocessing = {p.at("name"), p.at("scale"), p.at("mean").get<std::vector<double>>(), p.at("std").get<std::vector<double>>()};
    if (const Json c = parse(file, "classes"); c.is_array()) saved.classes = c.get<std::vector<std::string>>();
  } catch (const nlohmann::json::exception& e) {
    fail("weights", "{}: damaged metadata: {}", path.string(), e.what());
  }
  if (!saved.classes.empty() && int(saved.classes.size()) != n.classes)
    fail("weights", "{}: {} class names for {} classes", path.string(), saved.classes.size(), n.classes);
  if (n.preprocessing.mean.size() != 3 || n.preprocessing.std.size() != 3)
    fail("weights", "{}: preprocessing needs a mean and a std for 3 channels", path.string());
  settle_stem(saved);
  return saved;
}

}  // namespace vkfer
