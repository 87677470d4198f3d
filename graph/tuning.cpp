#include "graph/tuning.h"

#include <algorithm>

#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr Engine kEngines[] = {Engine::direct, Engine::subgroup, Engine::shared, Engine::coopmat};

uint32_t number(const Attrs& choice, const char* name, uint32_t most) {
  const int64_t value = choice.integer(name);
  if (value < 1 || value > most) fail("tuning", "{} is {}, expected 1 to {}", name, value, most);
  return uint32_t(value);
}

bool flag(const Attrs& choice, const char* name) {
  const int64_t value = choice.integer(name);
  if (value != 0 && value != 1) fail("tuning", "{} is {}, expected 0 or 1", name, value);
  return value != 0;
}

struct Field {
  const char* name;
  void (*set)(Target&, const Attrs& choice, const char* name);
};

constexpr Field kFields[] = {
    {"engine",
     [](Target& t, const Attrs& choice, const char* name) {
       const Engine wanted = engine_from_name(choice.text(name, ""));
       if (wanted > t.engine) fail("tuning", "engine {} is beyond the device's {}", engine_name(wanted), engine_name(t.engine));
       t.engine = wanted;
     }},
    {"parallel_groups", [](Target& t, const Attrs& choice, const char* name) { t.parallel_groups = number(choice, name, 1 << 16); }},
    {"vectors_per_invocation", [](Target& t, const Attrs& choice, const char* name) { t.vectors_per_invocation = number(choice, name, 256); }},
    {"texel", [](Target& t, const Attrs& choice, const char* name) { t.texel = flag(choice, name); }},
    {"scalar_loads", [](Target& t, const Attrs& choice, const char* name) { t.scalar_loads = flag(choice, name); }},
};

std::vector<Attrs> around(const char* name, uint32_t value, std::initializer_list<double> factors) {
  std::vector<Attrs> choices;
  for (const double f : factors) choices.push_back({{name, int64_t(std::max(1.0, f * value))}});
  return choices;
}

}  // namespace

Target apply_choice(const Target& target, const Attrs& choice) {
  Target t = target;
  for (const auto& [name, value] : choice.entries()) {
    const auto field = std::find_if(std::begin(kFields), std::end(kFields), [&name = name](const Field& f) { return name == f.name; });
    if (field == std::end(kFields)) fail("tuning", "'{}' cannot be chosen", name);
    field->set(t, choice, field->name);
  }
  return t;
}

std::vector<Attrs> engine_choices(const Target& t) {
  std::vector<Attrs> choices;
  for (const Engine e : kEngines)
    if (e < t.engine) choices.push_back({{"engine", engine_name(e)}});
  return choices;
}

std::vector<Attrs> parallel_choices(const Target& t) { return around("parallel_groups", t.parallel_groups, {0.25, 0.5, 2, 4}); }
std::vector<Attrs> load_choices(const Target& t) { return {{{"texel", !t.texel}}, {{"scalar_loads", !t.scalar_loads}}}; }
std::vector<Attrs> vector_choices(const Target& t) { return around("vectors_per_invocation", t.vectors_per_invocation, {0.25, 0.5, 2}); }

}  // namespace vkfer
