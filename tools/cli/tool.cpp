#include "tools/cli/tool.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/train/names.h"

namespace vkfer {
namespace {

constexpr std::string_view kTitle = "VkFER trains and runs facial-expression networks on any Vulkan device.";

void print_help() {
  fmt::print("{}\n\nUsage: vkfer VERB [OPTIONS]\n\n", kTitle);
  for (const Verb* verb : verbs()) fmt::print("  {:<10}{}\n", verb->name, verb->summary);
  fmt::print("  {:<10}{}\n", "test", "build and run the tests (by the launcher, ./vkfer test)");
  fmt::print("\n`vkfer VERB --help` shows a verb's options and examples. Exit status: 0 success\n"
             "(an interrupted training that saved its state too), 2 wrong usage or bad input,\n"
             "3 a failure of the device or its driver, 1 a bug, or infer did all but the\n"
             "pictures that it could not read.\n");
}

const Verb& find_verb(const std::string& name) {
  if (name == "test")
    fail("usage", "the tests are built and run by the launcher. Fix: ./vkfer test in the source folder");
  return *[&]() -> const Verb* {
    for (const Verb* verb : verbs())
      if (verb->name == name) return verb;
    std::vector<std::string> known;
    for (const Verb* verb : verbs()) known.emplace_back(verb->name);
    fail_unknown("usage", name.starts_with("-") ? "option" : "verb", name, known);
  }();
}

std::vector<std::string> option_names(const Verb& verb) {
  std::vector<std::string> names(verb.arguments.begin(), verb.arguments.end());
  names.emplace_back("--help");
  return names;
}

void check_extras(const CLI::App& app, const Verb& verb) {
  for (const std::string& extra : app.remaining()) {
    if (!extra.starts_with("-")) fail("usage", "unexpected argument '{}'. Fix: vkfer {} --help", extra, verb.name);
    const std::string near = nearest_name(extra.substr(0, extra.find('=')), option_names(verb));
    fail("usage", "unknown option '{}' for {}. Fix: {}", extra, verb.name,
         near.empty() ? fmt::format("vkfer {} --help", verb.name) : fmt::format("did you mean {}?", near));
  }
}

void parse_and_run(const Verb& verb, std::vector<std::string> words) {
  Arguments arguments;
  CLI::App app(std::string(verb.summary), "vkfer " + std::string(verb.name));
  app.get_formatter()->column_width(30);
  app.footer("\nExamples:\n" + std::string(verb.examples));
  app.allow_extras();
  declare(app, arguments, verb.arguments);
  if (verb.max_positional != 0)
    app.add_option(std::string(verb.positional), arguments.positional, std::string(verb.positional_help))->type_name("");
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return;
  } catch (const CLI::ParseError& e) {
    fail("usage", "{}. Fix: vkfer {} --help", e.what(), verb.name);
  }
  check_extras(app, verb);
  if (verb.max_positional > 0 && arguments.positional.size() > size_t(verb.max_positional))
    fail("usage", "unexpected argument '{}'. Fix: vkfer {} --help", arguments.positional[size_t(verb.max_positional)], verb.name);
  check_given(app, arguments, verb.arguments);
  Console console(arguments.json);
  verb.run(arguments, console);
}

}  // namespace

void run_tool(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    print_help();
    fail("usage", "no verb. Fix: name one of the above");
  }
  const std::string& first = arguments[0];
  if (first == "--help" || first == "-h" || first == "help") return print_help();
  const Verb& verb = find_verb(first == "--version" ? "version" : first);
  parse_and_run(verb, resolve_json({arguments.begin() + 1, arguments.end()}));
}

}  // namespace vkfer
