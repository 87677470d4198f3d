#include "models/weights/transfer.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "graph/ops/ops.h"
#include "models/init.h"
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
    const bool asked = options.only.empty() || std::ranges::count(options.only, info.name);
    if (asked && std::ranges::none_of(options.ignored_prefixes, starts)) wanted[info.name] = &info;
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
  explicit Report(FittedWeights& fitted) : fitted_(fitted) {}
  void missing(const std::string& name, const std::vector<std::string>& others) { fitted_.missing.push_back(name + near(name, others)); }
  void unexpected(const std::string& name, const std::vector<std::string>& others) { fitted_.unexpected.push_back(name.substr(0, 100) + near(name, others)); }
  void misshaped(const std::string& name, const std::vector<int64_t>& got, const std::vector<int64_t>& expected) {
    fitted_.misshaped.push_back(fmt::format("{} (got {}, expected {})", name, shape_text(got), shape_text(expected)));
  }
  void not_finite(const std::string& name) { not_finite_.push_back(name); }
  void class_count(int64_t got, int64_t expected) {
    if (got != expected) hint_ = fmt::format("the file's classifier answers {} classes and this network {}: build it with {} classes, or load without the classifier", got, expected, got);
  }
  void stem_channels(int64_t got, int64_t expected) {
    hint_ = fmt::format("the file's first filter takes {} channels and this network {}: build it with --channels {}, or vkfer import --channels {} --adapt-stem {}", got, expected, got,
                        expected, got > expected ? "sum" : "replicate");
  }
  void raise_if_any(const std::string& source, bool partial) const {
    std::string all = part("NaN or infinite", not_finite_);
    if (!partial) all = part("missing", fitted_.missing) + part("unexpected", fitted_.unexpected) + part("wrong shape", fitted_.misshaped) + all;
    if (!all.empty()) fail("weights", "{} does not fit the network:{}. Fix: {}", source, all, hint_.empty() ? "choose the model these weights belong to" : hint_);
  }

 private:
  static std::string near(const std::string& name, const std::vector<std::string>& others) {
    const std::string n = nearest_name(name, others);
    return n.empty() ? "" : " (nearest: " + n + ")";
  }
  static std::string part(const char* title, const std::vector<std::string>& names) {
    if (names.empty()) return "";
    const std::vector<std::string> listed(names.begin(), names.begin() + ptrdiff_t(std::min(names.size(), kListed)));
    const std::string more = names.size() > kListed ? fmt::format(" and {} more", names.size() - kListed) : "";
    return fmt::format(" {} {}: {}{};", names.size(), title, fmt::join(listed, ", "), more);
  }
  FittedWeights& fitted_;
  std::vector<std::string> not_finite_;
  std::string hint_;
};

// The filters that take the images, of any storage type.
std::set<std::string> stem_filters(const Graph& graph) {
  const auto source = [&](Value v) {
    for (int at = graph.info(v).producer; at >= 0; at = graph.info(v).producer) {
      const Node& node = graph.nodes()[size_t(at)];
      if (node.op != &ops::cast && node.op != &ops::normalize) break;
      v = node.in[0];
    }
    return v;
  };
  std::set<std::string> names;
  for (const Node& node : graph.nodes())
    if (node.op == &ops::conv2d && graph.info(source(node.in[0])).role == Role::input) names.insert(graph.info(source(node.in[1])).name);
  return names;
}

// [co,from,r,s] -> [co,to,r,s]
std::vector<float> with_channels(const std::vector<float>& filter, int64_t from, int64_t to, int64_t taps) {
  const size_t t = size_t(taps), outputs = filter.size() / (size_t(from) * t);
  std::vector<float> out(outputs * size_t(to) * t);
  for (size_t o = 0; o < outputs; ++o)
    for (size_t i = 0; i < t; ++i) {
      double sum = 0;
      for (size_t c = 0; c < size_t(from); ++c) sum += filter[(o * size_t(from) + c) * t + i];
      for (size_t c = 0; c < size_t(to); ++c) out[(o * size_t(to) + c) * t + i] = float(sum / double(to));
    }
  return out;
}

// Could the one be made of the other by sum or replicate?
bool other_channels(const std::vector<int64_t>& got, const std::vector<int64_t>& expected) {
  if (got.size() != 4 || expected.size() != 4 || got[0] != expected[0] || got[2] != expected[2] || got[3] != expected[3]) return false;
  return (got[1] == 1 && expected[1] == 3) || (got[1] == 3 && expected[1] == 1);
}

}  // namespace

FittedWeights fit_weights(const WeightFile& file, const Graph& graph, const LoadOptions& options) {
  const auto wanted = wanted_states(graph, options);
  const auto stem = stem_filters(graph);
  std::vector<std::string> free_names, wanted_names;  // candidates for "nearest": names the other side has no use for
  for (const auto& [name, tensor] : file.tensors)
    if (!wanted.count(name) && !name.ends_with(kBatches)) free_names.push_back(name.substr(0, 100));
  for (const auto& [name, info] : wanted)
    if (!file.tensors.count(name)) wanted_names.push_back(name);

  FittedWeights fitted;
  Report report(fitted);
  for (const auto& [name, info] : wanted) {
    if (options.skip_classifier && is_classifier(name, options)) continue;
    const auto it = file.tensors.find(name);
    if (it == file.tensors.end()) {
      report.missing(name, free_names);
      continue;
    }
    const auto expected = torch_shape(*info);
    const auto& got = it->second.shape;
    std::vector<float> values;
    if (got == expected) {
      values = it->second.floats();
    } else if (stem.count(name) && other_channels(got, expected)) {
      const StemChannels needed = got[1] > expected[1] ? StemChannels::sum : StemChannels::replicate;
      if (options.stem != needed) {
        report.misshaped(name, got, expected);
        report.stem_channels(got[1], expected[1]);
        continue;
      }
      values = with_channels(it->second.floats(), got[1], expected[1], got[2] * got[3]);
      fitted.adapted.push_back(fmt::format("{} (from {} to {})", name, shape_text(got), shape_text(expected)));
    } else {
      report.misshaped(name, got, expected);
      if (is_classifier(name, options) && !got.empty()) report.class_count(got[0], expected[0]);
      continue;
    }
    if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) report.not_finite(name);
    fitted.values.emplace(name, std::move(values));
  }
  for (const auto& [name, tensor] : file.tensors)
    if (options.only.empty() && !wanted.count(name) && !name.ends_with(kBatches) && !(options.skip_classifier && is_classifier(name, options)))
      report.unexpected(name, wanted_names);
  report.raise_if_any(file.source, options.partial);
  return fitted;
}

void load_weights(const WeightFile& file, const Graph& graph, States& states, const LoadOptions& options) {
  for (const auto& [name, values] : fit_weights(file, graph, options).values) {  // a file that does not fit has changed nothing
    const ValueInfo& info = graph.info(graph.find(name));
    states.region(name, info.desc);
    states.write(name, from_torch(info, values));
  }
}

namespace {

void set_state(WeightFile& to, const ValueInfo& info, std::span<const float> torch_order) {
  to.set(info.name, torch_shape(info), torch_order);
  if (!info.name.ends_with(kMean)) return;
  const int64_t zero = 0;  // batches are not counted on the device; torch reads the number only when momentum is None
  to.tensors[info.name.substr(0, info.name.size() - kMean.size()) + std::string(kBatches)] = WeightTensor::of({}, std::span(&zero, 1));
}

}  // namespace

void export_weights(const Graph& graph, States& states, WeightFile& to, const LoadOptions& options) {
  for (const auto& [name, info] : wanted_states(graph, options)) set_state(to, *info, to_torch(*info, states.read(name)));
}

void export_weights(const Graph& graph, const FittedWeights& fitted, uint64_t seed, WeightFile& to) {
  for (const auto& [name, info] : wanted_states(graph, {})) {
    const auto it = fitted.values.find(name);
    set_state(to, *info, it != fitted.values.end() ? it->second : to_torch(*info, initial_value(name, *info, seed)));
  }
}

}  // namespace vkfer
