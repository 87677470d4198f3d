#include "models/init.h"

#include <cmath>
#include <functional>
#include <numbers>

#include "models/philox.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

uint64_t name_hash(std::string_view name) {  // FNV-1a
  uint64_t h = 14695981039346656037ull;
  for (unsigned char c : name) h = (h ^ c) * 1099511628211ull;
  return h;
}

// Two uniform doubles in (0, 1) for element i of a state.
struct Uniforms {
  double a, b;
};
Uniforms uniforms(uint64_t hash, uint64_t i, uint64_t seed) {
  const auto r = philox({uint32_t(i), uint32_t(i >> 32), uint32_t(hash), uint32_t(hash >> 32)}, {uint32_t(seed), uint32_t(seed >> 32)});
  auto unit = [](uint32_t high, uint32_t low) { return (double((uint64_t(high) << 32 | low) >> 12) + 0.5) * 0x1p-52; };
  return {unit(r[0], r[1]), unit(r[2], r[3])};
}

double normal(Uniforms u) { return std::sqrt(-2 * std::log(u.a)) * std::cos(2 * std::numbers::pi * u.b); }

struct Fans {
  double in, out;
};
Fans fans(const ValueInfo& info) {
  const Shape& s = info.desc.shape;
  if (info.state.layout == Layout::filter) return {double(s[0] * s[1] * s[2]), double(s[0] * s[1] * s[3])};
  if (s.rank() == 2) return {double(s[0]), double(s[1])};
  return {double(s.elements()), double(s.elements())};
}

double parameter_of(const std::string& rule, const std::string& name) {
  const auto colon = rule.find(':');
  char* end = nullptr;
  const double value = colon == std::string::npos ? 0 : std::strtod(rule.c_str() + colon + 1, &end);
  if (!(value > 0) || !end || *end) fail("init", "'{}': rule got '{}', expected one positive number after ':'. Fix: correct the model", name, rule);
  return value;
}

using Sampler = std::function<double(Uniforms)>;

Sampler uniform_within(double bound) {
  return [bound](Uniforms u) { return bound * (2 * u.a - 1); };
}
Sampler normal_of(double std) {
  return [std](Uniforms u) { return std * normal(u); };
}

Sampler sampler_for(const std::string& name, const ValueInfo& info) {
  const std::string& rule = info.state.init;
  const std::string kind = rule.substr(0, rule.find(':'));
  const Fans f = fans(info);
  if (kind == "kaiming_normal_fan_out") return normal_of(std::sqrt(2 / f.out));
  if (kind == "kaiming_uniform_fan_in" || kind == "he_uniform") return uniform_within(std::sqrt(6 / f.in));
  if (kind == "conv_uniform") return uniform_within(1 / std::sqrt(f.in));
  if (kind == "uniform_fan_out") return uniform_within(1 / std::sqrt(f.out));
  if (kind == "bias_uniform") return uniform_within(1 / std::sqrt(parameter_of(rule, name)));
  if (kind == "normal") return normal_of(parameter_of(rule, name));
  if (kind == "glorot_uniform") return uniform_within(std::sqrt(6 / (f.in + f.out)));
  fail("init", "'{}': unknown rule: got '{}', expected one of models/init.h. Fix: correct the model", name, rule);
}

}  // namespace

std::vector<float> initial_value(const std::string& name, const ValueInfo& info, uint64_t seed) {
  std::vector<float> values(size_t(info.desc.elements()), 0.0f);
  if (info.state.init == "zeros") return values;
  if (info.state.init == "ones") return std::vector<float>(values.size(), 1.0f);
  if (info.state.init.starts_with("constant:")) return std::vector<float>(values.size(), float(parameter_of(info.state.init, name)));
  const Sampler sample = sampler_for(name, info);
  const uint64_t hash = name_hash(name);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(sample(uniforms(hash, i, seed)));
  return values;
}

void initialise(const Graph& graph, States& states, uint64_t seed) {
  for (Value v : graph.states()) {
    const ValueInfo& info = graph.info(v);
    states.region(info.name, info.desc);
    states.write(info.name, initial_value(info.name, info, seed));
  }
}

}  // namespace vkfer
