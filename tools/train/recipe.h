#pragma once
// Recipes: the settings of a training as a TOML file, with what they are taken from and what was published with them.
//
//   title = "..."                     required
//   study = "..."                     whose recipe it is: a citation, an address
//   notes = """..."""                 what the study leaves open, and what was chosen here
//   needs = "imagenet"                asks for --weights or --from-scratch
//   base = "r4-compact-resnet"        begins with another recipe: a built-in name, or a path from this file's folder
//   [training]                        settings, by the names of for_each_setting() or of the command line
//   lr = 1e-3
//   [published]                       figures to compare with
//   accuracy = 0.5736
//
// The sections of settings (kSections in recipe.cpp) are for the reader only; a setting may stand in any of them, or above all.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/train/settings.h"
#include "tools/train/toml.h"

namespace vkfer {

struct Recipe {
  std::string name;                  // of the file, without .toml
  std::string text;                  // as it stands in the file
  std::string title, study, notes, needs, base;
  Json settings = Json::object();    // what it says, by name; its base's are among them
  Json published = Json::object();
  std::string fingerprint;           // of the text and of the texts it is based on
  std::optional<TomlValue> sweep;    // its [sweep], see sweep_plan.h
  std::string source;                // for messages: the path, or the name of a built-in one
};

// `which`: the name of a built-in recipe, or the path of a file.
Recipe load_recipe(const std::string& which);
Recipe recipe_from_text(std::string_view text, const std::string& source);

struct BuiltinRecipe {
  std::string_view name, text;
};
std::span<const BuiltinRecipe> builtin_recipes();  // the files of recipes/, by name

// Settings by name onto those of a run.
void apply_settings(const Json& settings, TrainSettings&);
// The setting that a key means: its name with _ or -, or the option's without --. Empty for an unknown one.
std::string setting_named(std::string_view key);
// The value as that setting's kind takes it; fails naming place, key, what it got and what it expected.
Json setting_value(const std::string& place, const std::string& setting, const TomlValue&);
// NAME=VALUE of the command line; text needs no quotes.
std::pair<std::string, Json> parse_assignment(const std::string& text);

// What config.json says of it.
Json recipe_json(const Recipe&);
// "accuracy 0.5736, macro F1 0.5032 (test)", of the first `most` figures; empty without any.
std::string published_text(const Json& published, size_t most = 100);

}  // namespace vkfer
