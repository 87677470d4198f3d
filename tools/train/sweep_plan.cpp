#include "tools/train/sweep_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/data/philox.h"
#include "tools/train/monitor.h"
#include "tools/train/names.h"

namespace vkfer {
namespace {

using Kind = TomlValue::Kind;

constexpr size_t kMostTrials = 10000;
constexpr int kUsualTrials = 20;

// The tables of the recipe as they stand, with what messages call them.
struct Source {
  const std::string& file;
  std::string at(const TomlValue& v) const { return fmt::format("{}:{}", file, v.line); }
};

std::string checked_setting(const Source& source, const std::string& key, const TomlValue& v) {
  const std::string setting = setting_named(key);
  if (!setting.empty()) return setting;
  std::vector<std::string> known;
  const Json defaults = settings_json(TrainSettings());
  for (const auto& [name, value] : defaults.items()) known.push_back(name);
  const std::string near = nearest_name(key, known);
  fail("sweep", "{}: unknown setting '{}'. Fix: {}", source.at(v), key.substr(0, 100), near.empty() ? "see docs/recipes.md" : fmt::format("did you mean '{}'?", near));
}

std::vector<Json> values_of(const Source& source, const std::string& setting, const TomlValue& list) {
  if (list.kind != Kind::array || list.items.empty())
    fail("sweep", "{}: '{}': got {}, expected a list of values. Fix: {} = [...]", source.at(list), setting, list.kind == Kind::array ? "an empty list" : list.describe(), setting);
  std::vector<Json> values;
  for (const TomlValue& v : list.items) values.push_back(setting_value(source.at(v), setting, v));
  return values;
}

// ---- grid and list ------------------------------------------------------------------------------------------------------

std::vector<Json> grid(const Source& source, const TomlValue& table) {
  std::vector<Json> trials{Json::object()};
  for (const auto& [key, list] : table.entries) {
    const std::string setting = checked_setting(source, key, list);
    const std::vector<Json> values = values_of(source, setting, list);
    if (trials.size() * values.size() > kMostTrials) fail("sweep", "{}: more than {} combinations. Fix: fewer values, or [sweep.random]", source.at(list), kMostTrials);
    std::vector<Json> more;
    for (const Json& trial : trials)
      for (const Json& value : values) {
        more.push_back(trial);
        if (more.back().contains(setting)) fail("sweep", "{}: '{}' is there twice. Fix: delete one", source.at(list), setting);
        more.back()[setting] = value;
      }
    trials = std::move(more);
  }
  return trials;
}

std::vector<Json> listed(const Source& source, const TomlValue& list) {
  if (list.kind != Kind::array) fail("sweep", "{}: 'list': got {}, expected tables. Fix: [[sweep.list]] for each trial", source.at(list), list.describe());
  std::vector<Json> trials;
  for (const TomlValue& table : list.items) {
    if (table.kind != Kind::table) fail("sweep", "{}: got {}, expected a table of settings. Fix: [[sweep.list]] for each trial", source.at(list), table.describe());
    Json trial = Json::object();
    for (const auto& [key, v] : table.entries) {
      const std::string setting = checked_setting(source, key, v);
      if (trial.contains(setting)) fail("sweep", "{}: '{}' is there twice. Fix: delete one", source.at(v), setting);
      trial[setting] = setting_value(source.at(v), setting, v);
    }
    trials.push_back(trial);
  }
  return trials;
}

// ---- random -------------------------------------------------------------------------------------------------------------

struct Distribution {
  std::string setting;
  std::string_view kind;
  double low = 0, high = 0;
  std::vector<Json> choices;
};

constexpr std::string_view kDistributions[]{"uniform", "log_uniform", "integer", "choice"};

Distribution distribution(const Source& source, const std::string& setting, const TomlValue& v) {
  const auto usage = "{uniform = [low, high]}, {log_uniform = [low, high]}, {integer = [low, high]} or {choice = [...]}";
  if (v.kind != Kind::table || v.entries.size() != 1)
    fail("sweep", "{}: '{}': got {}, expected {}", source.at(v), setting, v.kind == Kind::table ? "another table" : v.describe(), usage);
  const auto& [kind, range] = v.entries[0];
  const auto known = std::ranges::find(kDistributions, kind);
  if (known == std::end(kDistributions)) fail("sweep", "{}: '{}': unknown distribution '{}', expected {}", source.at(v), setting, kind.substr(0, 100), usage);
  Distribution d{setting, *known, 0, 0, {}};
  if (d.kind == "choice") {
    d.choices = values_of(source, setting, range);
    return d;
  }
  const bool whole = d.kind == "integer";
  const auto number = [&](const TomlValue& n) { return n.kind == Kind::integer || (!whole && n.kind == Kind::real && std::isfinite(n.real)); };
  if (range.kind != Kind::array || range.items.size() != 2 || !number(range.items[0]) || !number(range.items[1]))
    fail("sweep", "{}: '{}': got {}, expected two {}, the lowest and the highest", source.at(v), setting, range.describe(), whole ? "whole numbers" : "numbers");
  d.low = range.items[0].real, d.high = range.items[1].real;
  if (!(d.low < d.high) || (d.kind == "log_uniform" && d.low <= 0) || (whole && d.high - d.low >= 1u << 31))
    fail("sweep", "{}: '{}': got {} to {}, expected the lower one first{}", source.at(v), setting, d.low, d.high, d.kind == "log_uniform" ? ", and above 0" : "");
  for (const TomlValue& end : range.items) setting_value(source.at(v), setting, end);  // of the setting's kind
  const Json defaults = settings_json(TrainSettings());
  if (!whole && !defaults.at(setting).is_number_float()) fail("sweep", "{}: '{}' takes whole numbers. Fix: {{integer = [{}, {}]}}", source.at(v), setting, d.low, d.high);
  return d;
}

// Four digits are enough to draw from, and good to read.
double rounded(double v) {
  if (v == 0) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(std::abs(v))) - 3);
  return unit > 0 ? std::strtod(fmt::format("{:.4g}", std::round(v / unit) * unit).c_str(), nullptr) : v;
}

Json draw(const Distribution& d, uint64_t seed, uint32_t trial, uint32_t index) {
  PhiloxSequence random(seed, PhiloxStream::sweep, trial, index);
  if (d.kind == "choice") return d.choices[random.below(uint32_t(d.choices.size()))];
  if (d.kind == "integer") return int64_t(d.low) + random.below(uint32_t(d.high - d.low) + 1);
  const double u = random.uniform();
  if (d.kind == "log_uniform") return std::clamp(rounded(std::exp(std::log(d.low) + u * (std::log(d.high) - std::log(d.low)))), d.low, d.high);
  return std::clamp(rounded(d.low + u * (d.high - d.low)), d.low, d.high);
}

// What a trial draws depends on its number alone: more trials leave the first ones as they are.
std::vector<Json> drawn(const Source& source, const TomlValue& table, uint64_t seed, int trials) {
  std::vector<Distribution> distributions;
  for (const auto& [key, v] : table.entries) distributions.push_back(distribution(source, checked_setting(source, key, v), v));
  std::vector<Json> all;
  for (int t = 0; t < trials; ++t) {
    Json trial = Json::object();
    for (size_t i = 0; i < distributions.size(); ++i) trial[distributions[i].setting] = draw(distributions[i], seed, uint32_t(t), uint32_t(i));
    all.push_back(trial);
  }
  return all;
}

// ---- [sweep] itself -----------------------------------------------------------------------------------------------------

int whole(const Source& source, const std::string& key, const TomlValue& v, int lowest, int highest) {
  if (v.kind != Kind::integer || v.integer < lowest || v.integer > highest)
    fail("sweep", "{}: '{}': got {}, expected a whole number from {} to {}", source.at(v), key, v.describe(), lowest, highest);
  return int(v.integer);
}

std::string text(const Source& source, const std::string& key, const TomlValue& v) {
  if (v.kind != Kind::text) fail("sweep", "{}: '{}': got {}, expected text", source.at(v), key, v.describe());
  return v.text;
}

bool prunes(const Source& source, const TomlValue& v) {
  const std::string rule = text(source, "prune", v);
  if (rule != "median" && rule != "none") fail("sweep", "{}: 'prune': got \"{}\", expected \"median\" or \"none\"", source.at(v), rule.substr(0, 100));
  return rule == "median";
}

struct Draws {
  int trials = 0, seed = 1;                // 0 trials: not said
};

// All but the trials themselves.
Draws read_keys(const Source& source, const TomlValue& table, SweepPlan& plan) {
  Draws draws;
  constexpr int kMost = std::numeric_limits<int>::max();
  const struct {
    std::string_view key;
    int *to, lowest, highest;
  } numbers[] = {{"repeats", &plan.repeats, 1, 1000}, {"trials", &draws.trials, 1, int(kMostTrials)}, {"seed", &draws.seed, 0, kMost},
                 {"prune_after", &plan.prune_after, 1, kMost}, {"prune_trials", &plan.prune_trials, 1, int(kMostTrials)}};
  const std::vector<std::string> ways{"grid", "random", "list"};
  for (const auto& [key, v] : table.entries) {
    if (std::ranges::find(ways, key) != ways.end()) {
      if (key != "list" && v.kind != Kind::table) fail("sweep", "{}: '{}': got {}, expected a table. Fix: [sweep.{}]", source.at(v), key, v.describe(), key);
    } else if (key == "monitor") {
      plan.monitor = find_monitor(text(source, key, v)).name;
    } else if (key == "prune") {
      plan.prune = prunes(source, v);
    } else if (const auto n = std::ranges::find_if(numbers, [&, &key = key](const auto& number) { return number.key == key; }); n != std::end(numbers)) {
      *n->to = whole(source, key, v, n->lowest, n->highest);
    } else {
      std::vector<std::string> known = ways;
      known.insert(known.end(), {"monitor", "prune"});
      for (const auto& number : numbers) known.emplace_back(number.key);
      fail_unknown(source.at(v), "key of [sweep]", key.substr(0, 100), known);
    }
  }
  return draws;
}

void check_trials(const SweepPlan& plan) {
  for (size_t t = 0; t < plan.trials.size(); ++t) {
    TrainSettings s;
    apply_settings(plan.recipe.settings, s);
    apply_settings(plan.trials[t], s);
    try {
      check_settings(s);
    } catch (const Error& e) {
      fail("sweep", "{}: trial {}: {}", plan.recipe.source, t + 1, e.what());
    }
  }
}

double best_of(std::span<const double> history) {
  double best = -std::numeric_limits<double>::infinity();
  for (const double figure : history)
    if (figure > best) best = figure;      // a figure that is no number is none
  return best;
}

}  // namespace

Json SweepPlan::description() const {
  Json j = {{"settings", recipe.settings}, {"monitor", monitor}, {"prune", prune}, {"prune_after", prune_after}, {"prune_trials", prune_trials}};
  return j;
}

SweepPlan plan_sweep(Recipe recipe, int trials, int repeats) {
  if (!recipe.sweep) fail("sweep", "{} has no [sweep]. Fix: add one, see docs/sweeps.md; a recipe alone is for vkfer train --recipe", recipe.source);
  SweepPlan plan;
  plan.recipe = std::move(recipe);
  const TomlValue& table = *plan.recipe.sweep;
  const Source source{plan.recipe.source};
  const TomlValue *ways[] = {table.find("grid"), table.find("random"), table.find("list")};
  if (std::ranges::count_if(ways, [](const TomlValue* w) { return w != nullptr; }) != 1)
    fail("sweep", "{}: expected one of [sweep.grid], [sweep.random] and [[sweep.list]]", source.at(table));
  const Draws draws = read_keys(source, table, plan);
  const int asked = trials > 0 ? trials : draws.trials;
  if (repeats > 0) plan.repeats = repeats;
  if (ways[0]) plan.trials = grid(source, *ways[0]);
  if (ways[1]) plan.trials = drawn(source, *ways[1], uint64_t(draws.seed), asked ? asked : kUsualTrials);
  if (ways[2]) plan.trials = listed(source, *ways[2]);
  if (asked && plan.trials.size() > size_t(asked)) plan.trials.resize(size_t(asked));
  if (plan.trials.empty() || (plan.trials.size() == 1 && plan.trials[0].empty())) fail("sweep", "{}: nothing to try. Fix: name settings and their values", source.at(table));
  check_trials(plan);
  return plan;
}

bool hopeless(const SweepPlan& plan, std::span<const double> history, std::span<const std::vector<double>> others) {
  const size_t epochs = history.size();
  if (!plan.prune || epochs < size_t(plan.prune_after) || others.size() < size_t(plan.prune_trials)) return false;
  std::vector<double> theirs;
  for (const std::vector<double>& other : others)
    if (!other.empty()) theirs.push_back(best_of(std::span(other).first(std::min(epochs, other.size()))));
  if (theirs.empty()) return false;
  std::ranges::sort(theirs);
  const size_t n = theirs.size();
  return best_of(history) < (theirs[(n - 1) / 2] + theirs[n / 2]) / 2;
}

}  // namespace vkfer
