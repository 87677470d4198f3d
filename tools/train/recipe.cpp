#include "tools/train/recipe.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>

#include "tools/data/bytes.h"
#include "tools/train/names.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;
using Kind = TomlValue::Kind;

constexpr std::array kSections{"network", "data", "training", "loss", "augmentation", "stopping"};
constexpr std::string_view kNothing = "nothing";  // takes back what the base needs
constexpr std::array<std::string_view, 2> kNeeds{"imagenet", kNothing};
constexpr size_t kMostBytes = size_t{1} << 20;  // parse_toml() is stricter
constexpr size_t kLongestChain = 8;             // of recipes based on one another

struct PublishedKey {
  std::string_view name, title;  // title: in the short text; empty for what is not in it
  Kind kind = Kind::real;
};
constexpr PublishedKey kPublished[]{
    {"accuracy", "accuracy"}, {"macro_f1", "macro F1"}, {"weighted_f1", "weighted F1"}, {"kappa", "kappa"},
    {"auc_roc", "AUC-ROC"}, {"auc_pr", "AUC-PR"}, {"accuracy_std", ""}, {"accuracy_min", ""}, {"accuracy_max", ""},
    {"valence_rmse", "valence RMSE"}, {"valence_pearson", ""}, {"valence_sagr", ""}, {"valence_ccc", "valence CCC"},
    {"arousal_rmse", "arousal RMSE"}, {"arousal_pearson", ""}, {"arousal_sagr", ""}, {"arousal_ccc", "arousal CCC"},
    {"f1", "", Kind::array}, {"epochs", "", Kind::integer}, {"repeats", "", Kind::integer}, {"images", "", Kind::integer},
    {"parameters", "", Kind::integer}, {"trainable_parameters", "", Kind::integer}, {"split", "", Kind::text}};

std::string place(const std::string& source, const TomlValue& v) { return fmt::format("{}:{}", source, v.line); }

[[noreturn]] void fail_kind(const std::string& place, std::string_view key, const TomlValue& got, std::string_view expected, std::string_view fix) {
  fail("recipe", "{}: '{}': got {}, expected {}. Fix: {} = {}", place, key, got.describe(), expected, key, fix);
}

std::string text_value(const std::string& where, std::string_view key, const TomlValue& v) {
  if (v.kind != Kind::text) fail_kind(where, key, v, "text", "\"...\"");
  return v.text;
}

// One overload for each kind of member; what they return has the member's range.
Json value_as(const std::string&, const std::string& where, const std::string& key, const TomlValue& v) { return text_value(where, key, v); }

Json value_as(bool, const std::string& where, const std::string& key, const TomlValue& v) {
  if (v.kind != Kind::boolean) fail_kind(where, key, v, "true or false", "true");
  return v.boolean;
}

Json value_as(double, const std::string& where, const std::string& key, const TomlValue& v) {
  if (v.kind != Kind::real && v.kind != Kind::integer) fail_kind(where, key, v, "a number", "0.5");
  return v.real;
}

Json value_as(int, const std::string& where, const std::string& key, const TomlValue& v) {
  using Limits = std::numeric_limits<int>;
  if (v.kind != Kind::integer || v.integer < Limits::min() || v.integer > Limits::max()) fail_kind(where, key, v, "a whole number", "1");
  return v.integer;
}

Json value_as(uint64_t, const std::string& where, const std::string& key, const TomlValue& v) {
  if (v.kind != Kind::integer || v.integer < 0) fail_kind(where, key, v, "a whole number from 0", "1");
  return uint64_t(v.integer);
}

std::vector<std::string> setting_names() {
  std::vector<std::string> names;
  TrainSettings s;
  for_each_setting(s, [&](const char* name, const auto&) { names.emplace_back(name); });
  return names;
}

std::string known_or(const std::string& key, const std::vector<std::string>& known) {
  const std::string near = nearest_name(key, known);
  return near.empty() ? "see docs/recipes.md" : fmt::format("did you mean '{}'?", near);
}

// ---- parts of a recipe ------------------------------------------------------------------------------------------------

void add_setting(Recipe& r, const std::string& key, const TomlValue& v) {
  const std::string setting = setting_named(key);
  if (setting.empty()) fail("recipe", "{}: unknown setting '{}'. Fix: {}", place(r.source, v), key.substr(0, 100), known_or(key, setting_names()));
  if (r.settings.contains(setting)) fail("recipe", "{}: '{}' is there twice. Fix: delete one", place(r.source, v), setting);
  r.settings[setting] = setting_value(place(r.source, v), setting, v);
}

Json published_value(const std::string& where, const PublishedKey& key, const TomlValue& v) {
  switch (key.kind) {
    case Kind::text: return text_value(where, key.name, v);
    case Kind::integer: return value_as(int{}, where, std::string(key.name), v);
    case Kind::array: {
      if (v.kind != Kind::array) fail_kind(where, key.name, v, "a list of numbers", "[0.5, 0.5]");
      Json all = Json::array();
      for (const TomlValue& item : v.items) all.push_back(value_as(double{}, where, std::string(key.name), item));
      return all;
    }
    default: return value_as(double{}, where, std::string(key.name), v);
  }
}

void add_published(Recipe& r, const TomlValue& table) {
  std::vector<std::string> known;
  for (const PublishedKey& k : kPublished) known.emplace_back(k.name);
  for (const auto& [name, v] : table.entries) {
    const auto key = std::ranges::find(kPublished, name, &PublishedKey::name);
    if (key == std::end(kPublished)) fail("recipe", "{}: unknown figure '{}' in [published]. Fix: {}", place(r.source, v), name.substr(0, 100), known_or(name, known));
    r.published[name] = published_value(place(r.source, v), *key, v);
  }
}

void add_section(Recipe& r, const std::string& name, const TomlValue& table) {
  if (name == "published") return add_published(r, table);
  if (name == "sweep") return void(r.sweep = table);
  if (std::ranges::find(kSections, name) == kSections.end()) {
    std::vector<std::string> known(kSections.begin(), kSections.end());
    known.insert(known.end(), {"published", "sweep"});
    fail("recipe", "{}: unknown section [{}], expected one of {}. Fix: {}", place(r.source, table), name.substr(0, 100), fmt::join(known, ", "), known_or(name, known));
  }
  for (const auto& [key, v] : table.entries) add_setting(r, key, v);
}

// The keys that are no setting.
std::string* text_member(Recipe& r, std::string_view key) {
  const std::pair<std::string_view, std::string*> members[] = {{"title", &r.title}, {"study", &r.study}, {"notes", &r.notes}, {"needs", &r.needs}, {"base", &r.base}};
  for (const auto& [name, member] : members)
    if (name == key) return member;
  return nullptr;
}

void add_entry(Recipe& r, const std::string& key, const TomlValue& v) {
  if (v.kind == Kind::table) return add_section(r, key, v);
  if (std::string* member = text_member(r, key)) return void(*member = text_value(place(r.source, v), key, v));
  if (setting_named(key).empty()) {
    std::vector<std::string> known = setting_names();
    known.insert(known.end(), {"title", "study", "notes", "needs", "base"});
    fail("recipe", "{}: unknown key '{}'. Fix: {}", place(r.source, v), key.substr(0, 100), known_or(key, known));
  }
  add_setting(r, key, v);
}

uint32_t checksum(std::string_view text) { return uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size())); }

// What the base says and the recipe does not.
void inherit(Recipe& r, const Recipe& base) {
  Json merged = base.settings;
  merged.update(r.settings);
  r.settings = std::move(merged);
  if (r.study.empty()) r.study = base.study;
  if (r.needs.empty()) r.needs = base.needs;
  r.fingerprint += "-" + base.fingerprint;
}

void check_ranges(const Recipe& r) {
  TrainSettings s;
  apply_settings(r.settings, s);
  try {
    check_settings(s);
  } catch (const Error& e) {
    fail("recipe", "{}: {}", r.source, e.what());
  }
}

const BuiltinRecipe* find_builtin(std::string_view name) {
  for (const BuiltinRecipe& b : builtin_recipes())
    if (b.name == name) return &b;
  return nullptr;
}

Recipe load(const std::string& which, const fs::path& folder, size_t chain);

Recipe parse(std::string_view text, const std::string& source, const fs::path& folder, size_t chain) {
  Recipe r;
  r.source = source;
  r.text = text;
  r.name = fs::path(source).filename().string();
  if (r.name.ends_with(".toml")) r.name.resize(r.name.size() - 5);
  for (const auto& [key, v] : parse_toml(text, source).entries) add_entry(r, key, v);
  if (r.title.empty()) fail("recipe", "{}: no title. Fix: title = \"...\" on top", source);
  if (!r.needs.empty() && std::ranges::find(kNeeds, r.needs) == kNeeds.end())
    fail("recipe", "{}: 'needs': got \"{}\", expected \"imagenet\" or \"nothing\". Fix: needs = \"imagenet\"", source, r.needs.substr(0, 100));
  r.fingerprint = fmt::format("{:08x}", checksum(text));
  if (!r.base.empty()) {
    if (chain == kLongestChain) fail("recipe", "{}: more than {} recipes based on one another. Fix: is one its own base?", source, kLongestChain);
    inherit(r, load(r.base, folder, chain + 1));
  }
  if (r.needs == kNothing) r.needs.clear();
  check_ranges(r);
  return r;
}

Recipe load(const std::string& which, const fs::path& folder, size_t chain) {
  const bool names_file = which.ends_with(".toml") || which.find('/') != std::string::npos;
  const fs::path path = folder / which;
  std::error_code error;
  if (names_file && fs::exists(path, error)) {
    const std::vector<std::byte> bytes = read_file(path, kMostBytes);
    return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string(), path.parent_path(), chain);
  }
  // recipes/r4-compact-resnet.toml is built in, wherever the tool runs.
  const std::string name = names_file && which.starts_with("recipes/") && which.ends_with(".toml") ? fs::path(which).stem().string() : which;
  if (const BuiltinRecipe* builtin = find_builtin(name)) return parse(builtin->text, name, {}, chain);
  if (names_file) fail("--recipe", "{}: no such file. Fix: vkfer recipes lists the built-in ones", path.string());
  std::vector<std::string> known;
  for (const BuiltinRecipe& b : builtin_recipes()) known.emplace_back(b.name);
  fail_unknown("--recipe", "recipe", which.substr(0, 100), known);
}

}  // namespace

Recipe load_recipe(const std::string& which) { return load(which, {}, 1); }

Recipe recipe_from_text(std::string_view text, const std::string& source) { return parse(text, source, {}, 1); }

void apply_settings(const Json& settings, TrainSettings& s) {
  for_each_setting(s, [&](const char* name, auto& value) {
    if (settings.contains(name)) settings.at(name).get_to(value);
  });
}

std::string setting_named(std::string_view key) {
  std::string plain(key);
  std::ranges::replace(plain, '-', '_');
  for (const std::string& name : setting_names()) {
    std::string option = setting_option(name).substr(2);
    std::ranges::replace(option, '-', '_');
    if (plain == name || (plain == option && !option.starts_with("no_"))) return name;  // --no-flip would say the opposite
  }
  return {};
}

Json setting_value(const std::string& place, const std::string& setting, const TomlValue& v) {
  TrainSettings s;
  Json value;
  for_each_setting(s, [&](const char* name, const auto& member) {
    if (setting == name) value = value_as(member, place, setting, v);
  });
  return value;
}

std::pair<std::string, Json> parse_assignment(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string key = text.substr(0, equals), setting = setting_named(key);
  if (equals == std::string::npos) fail("--set", "got '{}', expected NAME=VALUE. Fix: --set lr=0.001", text.substr(0, 100));
  if (setting.empty()) fail("--set", "unknown setting '{}'. Fix: {}", key.substr(0, 100), known_or(key, setting_names()));
  const std::string value = text.substr(equals + 1);
  const TrainSettings defaults;
  if (settings_json(defaults).at(setting).is_string()) return {setting, value};
  const TomlValue parsed = parse_toml("value = " + value, "--set " + text.substr(0, 100));
  return {setting, setting_value("--set", setting, parsed.entries.at(0).second)};
}

Json recipe_json(const Recipe& r) {
  return {{"name", r.name}, {"title", r.title}, {"study", r.study}, {"fingerprint", r.fingerprint}, {"settings", r.settings}, {"published", r.published}};
}

std::string published_text(const Json& published, size_t most) {
  std::string text;
  size_t shown = 0;
  for (const PublishedKey& key : kPublished)
    if (!key.title.empty() && published.contains(key.name) && shown++ < most)
      text += fmt::format("{}{} {:.4f}", text.empty() ? "" : ", ", key.title, published.at(std::string(key.name)).get<double>());
  if (!text.empty() && published.contains("split")) text += fmt::format(" ({})", published.at("split").get<std::string>());
  return text;
}

}  // namespace vkfer
