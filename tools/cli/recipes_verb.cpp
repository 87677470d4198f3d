#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/train/recipe.h"

namespace vkfer {
namespace {

constexpr size_t kShown = 2;  // published figures in the list

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

Json describe(const Recipe& r) {
  Json j = recipe_json(r);
  j["notes"] = r.notes;
  j["needs"] = r.needs;
  j["base"] = r.base;
  return j;
}

void list(Console& console) {
  Json all = Json::array();
  console.print("{:<31} {:<20} {:<9} {}", "name", "network", "study", "published");
  for (const BuiltinRecipe& builtin : builtin_recipes()) {
    const Recipe r = load_recipe(std::string(builtin.name));
    console.print("{:<31} {:<20} {:<9} {}", r.name, r.settings.value("model", TrainSettings().model), r.study, r.sweep ? "a sweep: vkfer sweep" : or_dash(published_text(r.published, kShown)));
    all.push_back(describe(r));
  }
  console.line("\nvkfer recipes NAME prints one, to read or to begin a file of your own with.");
  console.answer({{"recipes", all}});
}

// Its text as it stands, and as comments what it takes from the recipe it is based on: the whole is a recipe again.
void show(const Recipe& r, Console& console) {
  std::string text = r.text;
  while (text.ends_with('\n')) text.pop_back();
  console.line(text);
  if (!r.base.empty()) console.print("\n# with {} these are its settings:", r.base);
  if (!r.base.empty())
    for (const auto& [name, value] : r.settings.items()) console.print("#   {} = {}", name, value.dump());
  console.answer(describe(r));
}

void run_recipes(Arguments& a, Console& console) {
  if (a.positional.empty()) return list(console);
  show(load_recipe(a.positional[0]), console);
}

}  // namespace

extern const Verb recipes_verb;
const Verb recipes_verb{
    .name = "recipes",
    .summary = "List the built-in recipes, or print one",
    .arguments = {"--json"},
    .positional = "recipe",
    .positional_help = "a name, or a file to check",
    .max_positional = 1,
    .examples = "  vkfer recipes\n"
                "  vkfer recipes r4-compact-resnet\n"
                "  vkfer recipes mine.toml --json\n"
                "  vkfer train --recipe r4-compact-resnet --data fer2013.zip --epochs 30",
    .run = run_recipes,
};

}  // namespace vkfer
