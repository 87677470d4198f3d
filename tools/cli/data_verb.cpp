#include <algorithm>
#include <array>
#include <filesystem>

#include "runtime/error.h"
#include "tools/cli/data_action.h"
#include "tools/data/inspect.h"
#include "tools/data/writer.h"
#include "tools/train/interrupt.h"
#include "tools/train/names.h"

namespace vkfer {

namespace fs = std::filesystem;

std::vector<std::string_view> augmentation_arguments() {
  return {"--no-flip", "--crop", "--rotate", "--shift", "--shear", "--zoom", "--perspective", "--brightness", "--contrast", "--saturation", "--erase"};
}

extern const DataAction inspect_action, preview_action, split_action, balance_action, convert_action;

namespace {

// Taken by every action.
constexpr std::array<std::string_view, 7> kCommon{"--data", "--votes", "--seed", "--val-fraction", "--test-fraction", "--skip-bad", "--json"};

const std::array<const DataAction*, 5>& actions() {
  static const std::array<const DataAction*, 5> all{&inspect_action, &preview_action, &split_action, &balance_action, &convert_action};
  return all;
}

std::vector<std::string_view> all_arguments() {
  std::vector<std::string_view> names(kCommon.begin(), kCommon.end());
  for (const DataAction* action : actions())
    for (const std::string_view name : action->arguments())
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  return names;
}

const DataAction& find_action(const std::string& name) {
  std::vector<std::string> known;
  for (const DataAction* action : actions()) {
    if (action->name == name) return *action;
    known.emplace_back(action->name);
  }
  fail_unknown("usage", "action", name, known);
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || !fs::is_directory(folder, error)) return false;
  const fs::path from = fs::weakly_canonical(fs::absolute(path), error).lexically_relative(fs::weakly_canonical(fs::absolute(folder), error));
  return !from.empty() && *from.begin() != "..";
}

void run_data(Arguments& a, Console& console) {
  if (a.positional.empty()) fail("usage", "what to do is missing: expected inspect, preview, split, balance or convert. Fix: vkfer data inspect fer2013.zip");
  const DataAction& action = find_action(a.positional[0]);
  const std::vector<std::string_view> own = action.arguments();
  for (const std::string& name : a.given_names)
    if (std::ranges::find(kCommon, name) == kCommon.end() && std::ranges::find(own, name) == own.end())
      fail("usage", "{} says nothing to data {}. Fix: leave it out", name, action.name);
  if (a.positional.size() > 1) {
    if (a.given("--data")) fail("usage", "two data sets: {} and --data {}. Fix: name one", a.positional[1], a.data);
    a.data = a.positional[1];
  }
  action.run(a, console);
}

}  // namespace

extern const Verb data_verb;
const Verb data_verb{
    .name = "data",
    .summary = "Look at a data set; split, balance and convert it",
    .arguments = all_arguments(),
    .positional = "action",
    .positional_help = "inspect, preview, split, balance or convert; then the data, as --data",
    .max_positional = 2,
    .examples = "  vkfer data inspect fer2013.zip\n"
                "  vkfer data preview fer2013.zip --rotate 20 --erase 0.5 -o sheet.png\n"
                "  vkfer data split faces -o split --fractions 0.8,0.1,0.1\n"
                "  vkfer data balance fer2013.zip --per-class 4500 -o balanced\n"
                "  vkfer data convert fer2013.csv -o fer2013.zip\n\n"
                "inspect counts by split and class, and finds pictures that are equal, equal with\n"
                "different classes, in train and elsewhere, of one colour, or unreadable.\n"
                "preview draws training pictures as epochs with these options see them.\n"
                "split gives every picture a split anew, class by class. balance fills small\n"
                "classes of train with altered copies. convert writes the same data as folders, a\n"
                "zip of them, a FER csv or a manifest: by -o's name, or --format. Pixels are never\n"
                "changed: image files are copied as they are, other pictures become PNG.",
    .run = run_data,
};

void write_data(const Arguments& a, Console& console, const DatasetContents& data) {
  if (a.out.empty()) fail("-o", "is missing: where to write. Fix: -o FOLDER, -o FILE.zip or -o FILE.csv");
  const DataFormat& format = format_for(a.format, a.out);
  for (const std::string& source : {a.data, a.add})
    if (lies_in(a.out, source)) fail("-o", "{} lies in {}, which would then hold both. Fix: a folder elsewhere", a.out, source);
  const InterruptGuard guard;
  WriteOptions options;
  options.skip_bad = a.skip_bad;
  options.progress = [&](size_t done, size_t total) {
    if (InterruptGuard::requested()) fail("data", "interrupted: nothing was written");
    console.progress("writing", double(done), double(total), fmt::format("{}/{}", done, total));
  };
  const std::vector<std::string> notes = write_dataset(data, a.out, format, options);
  for (const std::string& note : notes) console.notice(note);

  Json counts = Json::object();
  std::map<Split, size_t> images;
  for (const Sample& s : data.samples) {
    ++images[s.split];
    Json& n = counts[split_name(s.split)][s.label < 0 ? std::string() : data.classes[size_t(s.label)]];
    n = n.is_null() ? 1 : n.get<size_t>() + 1;
  }
  std::string line;
  for (const auto& [split, n] : images) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", count_text(int64_t(n)), split_name(split));
  console.print("{}: {} images as {} ({})", a.out, count_text(int64_t(data.samples.size())), format.name, line);
  console.answer({{"data", a.data.empty() ? "builtin" : a.data}, {"out", a.out}, {"format", format.name}, {"images", data.samples.size()}, {"counts", counts}, {"notes", notes}});
}

}  // namespace vkfer
