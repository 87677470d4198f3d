#include "models/weights/transfer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "models/registry.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr std::string_view kBatches = "num_batches_tracked", kMean = "running_mean";
constexpr size_t kListed = 8;  // of each kind of trouble

std::map<std::string, const ValueInfo*> wanted_states(const Graph& graph, const LoadOptions& options) {
  std::map<std::string, const ValueInfo*> wanted;
  for (Value v : graph.states()) {
    const ValueInfo& info = graph.info(v);
    if (info.desc.dtype != DType::f32) continue;
    auto starts = [&](const std::string& prefix) { return info.name.starts_with(prefix); };
    if (std::ranges::none_of(options.ignored_prefixes, starts)) wanted[info.name] = &info;
  }
  return wanted;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? "," : "") + std::to_string(shape[i]);
  return out + "]";
}

bool is_classifier(const std::string& name, const LoadOptions& options) {
  return !options.classifier.empty() && name.starts_with(options.classifier + ".");
}

// What does not fit, collected so that one Error names it all.
class Report {
 public:
  void missing(const std::string& name, const std::vector<std::string>& others) { add(missing_, name + near(name, others)); }
  void unexpected(const std::string& name, const std::vector<std::string>& others) { add(unexpected_, name.substr(0, 100) + near(name, others)); }
  void misshaped(const std::string& name, const std::vector<int64_t>& got, const std::vector<int64_t>& expected) {
    add(misshaped_, fmt::format("{} (got {}, expected {})", name, shape_text(got), shape_text(expected)));
  }
  void not_finite(const std::string& name) { add(not_finite_, name); }
  void class_count(int64_t got, int64_t expected) {
    if (got != expected) hint_ = fmt::format("the file's classifier answers {} classes and this network {}: build it with {} classes, or load without the classifier", got, expected, got);
  }
  void raise_if_any(const std::string& source) const {
    const std::string all = part("missing", missing_) + part("unexpected", unexpected_) + part("wrong shape", misshaped_) + part("NaN or infinite", not_finite_);
    if (!all.empty()) fail("weights", "{} does not fit the network:{}. Fix: {}", source, all, hint_.empty() ? "choose the model these weights belong to" : hint_);
  }

 private:
  struct List {
    std::string text;
    size_t count = 0;
  };
  static std::string near(const std::string& name, const std::vector<std::string>& others) {
    const std::string n = nearest_name(name, others);
    return n.empty() ? "" : " (nearest: " + n + ")";
  }
  static void add(List& list, const std::string& item) {
    if (list.count++ < kListed) list.text += (list.text.empty() ? " " : ", ") + item;
  }
  static std::string part(const char* title, const List& list) {
    if (list.count == 0) return "";
    const std::string more = list.count > kListed ? fmt::format(" and {} more", list.count - kListed) : "";
    return fmt::format(" {} {}:{}{};", list.count, title, list.text, more);
  }
  List missing_, unexpected_, misshaped_, not_finite_;
  std::string hint_;
};

}  // namespace

void load_weights(const WeightFile& file, const Graph& graph, States& states, const LoadOptions& options) {
  const auto wanted = wanted_states(graph, options);
  std::vector<std::string> free_names, wanted_names;  // candidates for "nearest": names the other side has no use for
  for (const auto& [name, tensor] : file.tensors)
    if (!wanted.count(name) && !name.ends_with(kBatches)) free_names.push_back(name.substr(0, 100));
  for (const auto& [name, info] : wanted)
    if (!file.tensors.count(name)) wanted_names.push_back(name);

  Report report;
  std::vector<std::pair<const ValueInfo*, std::vector<float>>> ready;
  for (const auto& [name, info] : wanted) {
    if (options.skip_classifier && is_classifier(name, options)) continue;
    const auto it = file.tensors.find(name);
    if (it == file.tensors.end()) {
      report.missing(name, free_names);
      continue;
    }
    const auto expected = torch_shape(*info);
    if (it->second.shape != expected) {
      report.misshaped(name, it->second.shape, expected);
      if (is_classifier(name, options) && !it->second.shape.empty()) report.class_count(it->second.shape[0], expected[0]);
      continue;
    }
    auto values = it->second.floats();
    if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) report.not_finite(name);
    ready.emplace_back(info, from_torch(*info, values));
  }
  for (const auto& [name, tensor] : file.tensors)
    if (!wanted.count(name) && !name.ends_with(kBatches) && !(options.skip_classifier && is_classifier(name, options)))
      report.unexpected(name, wanted_names);
  report.raise_if_any(file.source);

  for (const auto& [info, values] : ready) {  // only now: a file that does not fit changes nothing
    states.region(info->name, info->desc);
    states.write(info->name, values);
  }
}

void export_weights(const Graph& graph, States& states, WeightFile& to, const LoadOptions& options) {
  for (const auto& [name, info] : wanted_states(graph, options)) {
    to.set(name, torch_shape(*info), to_torch(*info, states.read(name)));
    if (!name.ends_with(kMean)) continue;
    const int64_t zero = 0;  // batches are not counted on the device; torch reads the number only when momentum is None
    to.tensors[name.substr(0, name.size() - kMean.size()) + std::string(kBatches)] = WeightTensor::of({}, std::span(&zero, 1));
  }
}

}  // namespace vkfer
