// The documentation against the tool and against itself: every verb has a page that names all of its options, and no link leads nowhere.
#include <cctype>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/workplace.h"

namespace fs = std::filesystem;
using namespace vkfer;
using namespace vkfer::test;

namespace {

const fs::path kSource = VKFER_SOURCE;

// Written by people: neither what is built nor what was checked out beside it.
std::vector<fs::path> pages() {
  std::vector<fs::path> all{kSource / "README.md"};
  for (const char* folder : {"docs", "graph", "models", "recipes", "runtime", "shaders", "tests", "third_party", "tools"})
    for (const auto& entry : fs::recursive_directory_iterator(kSource / folder))
      if (entry.path().extension() == ".md") all.push_back(entry.path());
  return all;
}

std::set<std::string> options_in(const std::string& text) {
  static const std::regex option("(^|[^A-Za-z0-9_-])(--[a-z][a-z0-9-]*)");
  std::set<std::string> all;
  for (std::sregex_iterator it(text.begin(), text.end(), option); it != std::sregex_iterator(); ++it) all.insert((*it)[2]);
  return all;
}

std::vector<std::string> verbs_of_help(const Workplace& place) {
  std::vector<std::string> verbs;
  std::istringstream lines(place.run("--help").out);
  static const std::regex verb("  ([a-z]+) +[A-Za-z].*");
  std::smatch match;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_match(line, match, verb)) verbs.push_back(match[1]);
  return verbs;
}

// As GitHub makes them of headings: small letters, no punctuation, hyphens for blanks, a number behind what is there already.
std::set<std::string> anchors_of(const std::string& text) {
  std::set<std::string> anchors;
  std::map<std::string, int> seen;
  bool code = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) code = !code;
    const size_t level = line.find_first_not_of('#');
    if (code || level == 0 || level == std::string::npos || line[level] != ' ') continue;
    std::string anchor;
    for (const char c : line.substr(level + 1))
      if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-') anchor += char(std::tolower(static_cast<unsigned char>(c)));
      else if (c == ' ') anchor += '-';
    const int again = seen[anchor]++;
    anchors.insert(again ? fmt::format("{}-{}", anchor, again) : anchor);
  }
  return anchors;
}

// What help says of a verb's own options, without its examples.
std::set<std::string> options_of(const Workplace& place, const std::string& verb) {
  const std::string help = place.run(verb + " --help").out;
  return options_in(help.substr(0, help.find("\nExamples:")));
}

// [text](where) and ![text](where) outside of code.
std::vector<std::string> links_in(const std::string& text) {
  std::string prose;
  bool code = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) code = !code;
    if (!code && !line.starts_with("    ")) prose += line + "\n";
  }
  static const std::regex spans("`[^`\n]*`"), link("\\]\\(([^)\\s]+)\\)");
  prose = std::regex_replace(prose, spans, "");
  std::vector<std::string> links;
  for (std::sregex_iterator it(prose.begin(), prose.end(), link); it != std::sregex_iterator(); ++it) links.push_back((*it)[1]);
  return links;
}

}  // namespace

TEST_CASE("docs: every verb has a page that names all of its options", "[docs][cli]") {
  const Workplace place;
  const std::vector<std::string> verbs = verbs_of_help(place);
  REQUIRE(verbs.size() > 15);
  const std::string index = text_of(kSource / "docs/README.md");
  for (const std::string& verb : verbs) {
    INFO("docs/verbs/" << verb << ".md");
    const fs::path page = kSource / "docs/verbs" / (verb + ".md");
    CHECK(index.find(fmt::format("(verbs/{}.md)", verb)) != std::string::npos);
    REQUIRE(fs::exists(page));
    const std::set<std::string> named = options_in(text_of(page));
    for (const std::string& option : options_of(place, verb)) {
      INFO("it does not name " << option);
      CHECK(named.contains(option));
    }
  }
}

TEST_CASE("docs: options that verbs' pages explain exist", "[docs][cli]") {
  const Workplace place;
  std::set<std::string> known{"--version", "--yes"};   // of the tool and its launcher
  for (const std::string& verb : verbs_of_help(place)) known.merge(options_of(place, verb));
  // Of other programs, where they are called by name.
  static const std::regex others("(cmake|ctest|cpack|ninja|python3?|pip|apt-get|git|curl|ssh|tensorboard|chromium|tools/bench/[a-z_]+\\.py|build[-a-z]*/[a-z/_]+|vkfer test|third_party/[a-z/_]+\\.sh) [^\n]*");
  for (const fs::path& page : pages()) {
    if (!page.string().starts_with((kSource / "docs").string())) continue;
    for (const std::string& option : options_in(std::regex_replace(text_of(page), others, ""))) {
      INFO(page.string() << " names " << option << ", which no verb has");
      CHECK(known.contains(option));
    }
  }
}

TEST_CASE("docs: links lead somewhere", "[docs]") {
  for (const fs::path& page : pages())
    for (const std::string& link : links_in(text_of(page))) {
      if (link.find("://") != std::string::npos || link.starts_with("mailto:")) continue;
      INFO(page.string() << ": " << link);
      const size_t hash = link.find('#');
      const fs::path target = hash == 0 ? page : page.parent_path() / link.substr(0, hash);
      REQUIRE(fs::exists(target));
      if (hash != std::string::npos) CHECK(anchors_of(text_of(target)).contains(link.substr(hash + 1)));
    }
}
