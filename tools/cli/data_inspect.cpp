#include <algorithm>
#include <cmath>

#include "tools/cli/data_action.h"
#include "tools/data/inspect.h"

namespace vkfer {
namespace {

constexpr size_t kShown = 5;

Json group_json(const Dataset& d, const std::vector<std::vector<size_t>>& groups) {
  Json all = Json::array();
  for (const auto& group : groups) {
    Json one = Json::array();
    for (const size_t i : group) {
      const Sample& s = d.sample(i);
      one.push_back({{"id", s.id}, {"class", s.label < 0 ? Json() : Json(d.classes()[size_t(s.label)])}, {"split", split_name(s.split)}});
    }
    all.push_back(one);
  }
  return all;
}

void print_groups(Console& console, const Dataset& d, const char* what, const std::vector<std::vector<size_t>>& groups) {
  size_t images = 0;
  for (const auto& g : groups) images += g.size();
  console.print("{}: {} groups, {} images", what, groups.size(), images);
  for (size_t g = 0; g < std::min(kShown, groups.size()); ++g) {
    std::string line;
    for (size_t i = 0; i < std::min(kShown, groups[g].size()); ++i) {
      const Sample& s = d.sample(groups[g][i]);
      line += fmt::format("{}{} ({}, {})", i ? " = " : "  ", s.id, s.label < 0 ? "no class" : d.classes()[size_t(s.label)], split_name(s.split));
    }
    console.line(line + (groups[g].size() > kShown ? " = ..." : ""));
  }
  if (groups.size() > kShown) console.print("  and {} groups more (--json lists all)", groups.size() - kShown);
}

void print_counts(Console& console, const Dataset& d, const Inspection& found) {
  std::string header = fmt::format("{:<14}", "class");
  for (const auto& [split, counts] : found.counts) header += fmt::format(" {:>12}", split);
  console.line(header);
  for (size_t c = 0; c <= d.classes().size(); ++c) {
    const bool unlabelled = c == d.classes().size();
    size_t sum = 0;
    std::string row = fmt::format("{:<14.14}", unlabelled ? "no class" : d.classes()[c]);
    for (const auto& [split, counts] : found.counts) row += fmt::format(" {:>12}", counts[c]), sum += counts[c];
    if (!unlabelled || sum) console.line(row);
  }
}

void inspect_data(Arguments& a, Console& console) {
  TrainSettings settings = a;
  settings.skip_bad = true;  // what is bad is told, not fatal
  const Dataset dataset = open_data(settings, console);
  const Inspection found = inspect(dataset, [&](size_t done, size_t total) { console.progress("reading", double(done), double(total)); });
  console.print("{}: {} images, {} classes\n", dataset.source(), dataset.size(), dataset.classes().size());
  print_counts(console, dataset, found);
  size_t affect = 0;  // images
  for (size_t i = 0; i < dataset.size(); ++i) affect += !std::isnan(dataset.sample(i).valence) && !std::isnan(dataset.sample(i).arousal);
  if (affect) console.print("valence and arousal: {} images", affect);
  console.line("");
  std::vector<std::pair<size_t, std::string>> sizes;
  for (const auto& [size, count] : found.sizes) sizes.emplace_back(count, size);
  std::ranges::sort(sizes, std::greater{});
  std::string line;
  for (size_t i = 0; i < std::min(kShown, sizes.size()); ++i) line += fmt::format("{}{} ({})", i ? ", " : "", sizes[i].second, sizes[i].first);
  console.print("sizes: {}{}", line, sizes.size() > kShown ? fmt::format(" and {} others", sizes.size() - kShown) : "");
  print_groups(console, dataset, "equal pictures", found.duplicates);
  print_groups(console, dataset, "of them with several classes", found.conflicts);
  print_groups(console, dataset, "of them in train and elsewhere", found.across_splits);
  std::string ids;
  for (size_t i = 0; i < std::min(kShown, found.constant.size()); ++i) ids += (i ? ", " : ": ") + dataset.sample(found.constant[i]).id;
  console.print("one colour throughout: {}{}", found.constant.size(), ids);
  console.print("unreadable: {}", found.unreadable.size());
  for (size_t i = 0; i < std::min(kShown, found.unreadable.size()); ++i) console.line("  " + found.unreadable[i]);

  Json counts = Json::object(), constant = Json::array();
  for (const auto& [split, by_class] : found.counts) {
    Json one = Json::object();
    for (size_t c = 0; c < dataset.classes().size(); ++c) one[dataset.classes()[c]] = by_class[c];
    if (by_class.back()) one[""] = by_class.back();
    counts[split] = one;
  }
  for (const size_t i : found.constant) constant.push_back(dataset.sample(i).id);
  console.answer({{"data", dataset.source()}, {"images", dataset.size()}, {"classes", dataset.classes()}, {"counts", counts}, {"valence_arousal", affect}, {"sizes", found.sizes},
                  {"duplicates", group_json(dataset, found.duplicates)}, {"conflicts", group_json(dataset, found.conflicts)},
                  {"across_splits", group_json(dataset, found.across_splits)}, {"constant", constant}, {"unreadable", found.unreadable}});
}

}  // namespace

extern const DataAction inspect_action;
const DataAction inspect_action{
    .name = "inspect",
    .arguments = [] { return std::vector<std::string_view>{}; },
    .run = inspect_data,
};

}  // namespace vkfer
