#include "models/head.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "graph/op.h"
#include "graph/ops/ops.h"
#include "models/layers.h"
#include "models/registry.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

using Kind = HeadLayer::Kind;

constexpr NamedHead kNamed[] = {
    {"r0", "gap,dense512/dense128", "512 units shared, then 128 of each output's own"},
    {"r1", "gap", "a linear layer for each output"},
    {"r2", "gmp", "global maximum pool, a linear layer for each output"},
    {"r3", "gap,dense256,dropout0.5", "256 units and dropout"},
    {"r4a", "dropout0.5,flatten,bn,dense32,bn,relu,dropout0.5,dense32,bn,relu,dropout0.5,dense32,bn,relu",
     "three layers of 32 units with batch norm and dropout"},
};

constexpr std::array kFunctions{&ops::relu, &ops::relu6, &ops::silu, &ops::sigmoid, &ops::hardswish};
constexpr size_t kMostLayers = 64;
constexpr int kMostUnits = 65536;

[[noreturn]] void fail_word(std::string_view word, const std::string& expected) {
  std::vector<std::string> known = {"gap", "gmp", "flatten", "dense512", "dropout0.5", "bn", "linear", "default"};
  for (const OpDef* f : kFunctions) known.emplace_back(f->name);
  for (const NamedHead& h : kNamed) known.emplace_back(h.name);
  const std::string near = nearest_name(word, known);
  fail("--head", "got '{}', expected {}. Fix: {}", word.substr(0, 100), expected,
       near.empty() || near == word ? "--head gap,dense512,dropout0.5" : "did you mean " + near + "?");
}

template <class T>
bool read_number(std::string_view& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(size_t(end - text.data()));
  return true;
}

// dense512, dense512x3
void add_dense(std::string_view word, std::vector<HeadLayer>& to) {
  std::string_view rest = word.substr(5);
  int units = 0, times = 1;
  bool read = read_number(rest, units);
  if (read && !rest.empty()) read = rest[0] == 'x' && (rest.remove_prefix(1), read_number(rest, times)) && rest.empty();
  if (!read || units < 1 || units > kMostUnits || times < 1 || times > int(kMostLayers))
    fail_word(word, fmt::format("a dense layer of 1 to {} units: dense512, or dense512x3 for three", kMostUnits));
  for (int i = 0; i < times; ++i) to.push_back({.kind = Kind::dense, .units = units});
}

void add_dropout(std::string_view word, std::vector<HeadLayer>& to) {
  std::string_view rest = word.substr(7);
  double p = 0.5;
  if (!rest.empty() && (!read_number(rest, p) || !rest.empty())) p = -1;
  if (!(p >= 0 && p < 1)) fail_word(word, "a dropout from 0 to below 1: dropout0.5");
  to.push_back({.kind = Kind::dropout, .p = p});
}

void add_word(std::string_view word, std::vector<HeadLayer>& to) {
  static constexpr std::pair<std::string_view, Kind> kSimple[] = {{"gap", Kind::gap}, {"gmp", Kind::gmp}, {"flatten", Kind::flatten}, {"bn", Kind::norm}};
  for (const auto& [name, kind] : kSimple)
    if (word == name) return to.push_back({.kind = kind});
  for (const OpDef* f : kFunctions)
    if (word == f->name) return to.push_back({.kind = Kind::activation, .function = f});
  if (word == "linear") return to.push_back({.kind = Kind::activation});
  if (word.starts_with("dense")) return add_dense(word, to);
  if (word.starts_with("dropout")) return add_dropout(word, to);
  fail_word(word, "a named head, or words from gap, gmp, flatten, dense512, dropout0.5, bn, relu, relu6, silu, sigmoid, hardswish, linear");
}

bool is_pool(const HeadLayer& l) { return l.kind == Kind::gap || l.kind == Kind::gmp || l.kind == Kind::flatten; }

// `linear` goes, and a ReLU comes after every dense layer that nothing else follows which decides.
std::vector<HeadLayer> with_activations(const std::vector<HeadLayer>& given) {
  std::vector<HeadLayer> out;
  for (size_t i = 0; i < given.size(); ++i) {
    const bool nothing = given[i].kind == Kind::activation && !given[i].function;
    if (!nothing) out.push_back(given[i]);
    const bool decided = i + 1 < given.size() && (given[i + 1].kind == Kind::activation || given[i + 1].kind == Kind::norm);
    if (given[i].kind == Kind::dense && !decided) out.push_back({.kind = Kind::activation, .function = &ops::relu});
  }
  return out;
}

std::vector<HeadLayer> parse_words(std::string_view text) {
  std::vector<HeadLayer> layers;
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(',', first), text.size());
    add_word(text.substr(first, end - first), layers);
    if (layers.size() > kMostLayers) fail("--head", "got more than {} layers. Fix: a shorter head", kMostLayers);
    first = end + 1;
  }
  return layers;
}

// Adds a list of layers under <prefix>.<i>.
class Sequence {
 public:
  Sequence(Layers& layers, std::string prefix) : layers_(layers), prefix_(std::move(prefix)) {}

  HeadFeatures run(const std::vector<HeadLayer>& list, HeadFeatures x) {
    flattened_ = x.flattened;
    int index = 0;
    for (const HeadLayer& l : list) x.value = one(l, fmt::format("{}.{}", prefix_, index++), x.value);
    return {x.value, flattened_};
  }

 private:
  Value one(const HeadLayer& l, const std::string& name, Value x) {
    switch (l.kind) {
      case Kind::gap: return layers_.global_avg_pool(name, x);
      case Kind::gmp: return layers_.global_max_pool(name, x);
      case Kind::flatten: return flatten(name, x);
      case Kind::dense: return dense(name, x, l.units);
      case Kind::dropout: return layers_.dropout(name, x, l.p);
      case Kind::norm: return layers_.batch_norm(name, x, {}, flattened_);
      case Kind::activation: return layers_.activation(*l.function, name, x);
    }
    return x;
  }
  Value flatten(const std::string& name, Value x) {
    const Shape s = layers_.shape(x);
    flattened_ = {s.h(), s.w(), s.c()};
    return layers_.flatten(name, x);
  }
  Value dense(const std::string& name, Value x, int units) {
    x = layers_.linear(name, x, units, "he_uniform", "zeros", flattened_);
    flattened_ = {};
    return x;
  }

  Layers& layers_;
  const std::string prefix_;
  Shape flattened_;
};

}  // namespace

std::span<const NamedHead> named_heads() { return kNamed; }

bool is_default_head(std::string_view text) { return text.empty() || text == "default"; }

HeadSpec parse_head(std::string_view text) {
  for (const NamedHead& head : kNamed)
    if (text == head.name) text = head.composition;
  const size_t slash = text.find('/');
  std::vector<HeadLayer> trunk = parse_words(text.substr(0, slash)), branch;
  if (slash != std::string_view::npos) branch = parse_words(text.substr(slash + 1));

  // Dropout, norm and activations may come before the pool; a dense layer cannot.
  const auto pool = std::ranges::find_if(trunk, is_pool);
  const auto dense = std::ranges::find_if(trunk, [](const HeadLayer& l) { return l.kind == Kind::dense; });
  if (pool == trunk.end()) trunk.insert(trunk.begin(), {.kind = Kind::gap});
  else if (dense < pool || std::count_if(trunk.begin(), trunk.end(), is_pool) > 1)
    fail("--head", "got '{}', expected one gap, gmp or flatten, before the first dense. Fix: --head gap,dense512", text.substr(0, 100));
  if (std::ranges::any_of(branch, is_pool))
    fail("--head", "got '{}', expected gap, gmp or flatten before the slash only. Fix: --head gap,dense512/dense128", text.substr(0, 100));
  return {with_activations(trunk), with_activations(branch)};
}

HeadFeatures head_trunk(Layers& layers, const HeadSpec& spec, Value map) { return Sequence(layers, "head").run(spec.trunk, {map, {}}); }

Value head_output(Layers& layers, const HeadSpec& spec, const HeadFeatures& features, const std::string& output, int units) {
  const HeadFeatures last = Sequence(layers, "head." + output + "_branch").run(spec.branch, features);
  return layers.linear("head." + output, last.value, units, "glorot_uniform", "zeros", last.flattened);
}

}  // namespace vkfer
