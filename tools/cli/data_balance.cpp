#include <algorithm>
#include <array>

#include "runtime/error.h"
#include "tools/cli/data_action.h"
#include "tools/data/balance.h"
#include "tools/train/altered_image.h"
#include "tools/train/names.h"

namespace vkfer {
namespace {

// What copies are shifted by when nothing is asked for. By whole pixels: turning and zooming interpolate, and where most pictures of a
// class are copies, a network learns the blur of interpolation in place of the expression (docs/results.md).
constexpr double kSlide = 0.05;

AlterSettings alter_settings(const Arguments& a, Console& console) {
  AlterSettings s{a.warp, a.flip, std::max(0, a.crop), a.seed};
  const bool asked = std::ranges::any_of(std::array{"--rotate", "--shift", "--shear", "--zoom", "--perspective", "--brightness", "--contrast", "--saturation", "--erase", "--crop"},
                                         [&](const char* option) { return a.given(option); });
  if (!asked) {   // --rotate 0 asks for copies that are mirrored at most
    s.slide = kSlide;
    console.print("copies are {}shifted by up to {:g} % of the size, in whole pixels; --rotate, --shift, ... say otherwise",
                  s.flip ? "mirrored half the time and " : "", 100 * kSlide);
  }
  return s;
}

// The training part of --add, or all of it where it has no splits.
DatasetContents added_data(const Arguments& a, Console& console) {
  DatasetOptions options;
  options.complete_split = false;
  options.skip_bad = a.skip_bad;
  const Dataset more = open_dataset(a.add, options);
  for (const std::string& warning : more.warnings()) console.notice(warning);
  DatasetContents contents = more.contents();
  const size_t left = std::erase_if(contents.samples, [](const Sample& s) { return s.split != Split::train && s.split != Split::unassigned; });
  console.print("{}: {} images join train{}", a.add, contents.samples.size(), left ? fmt::format("; {} of other splits are left out", left) : "");
  return contents;
}

std::vector<int> labels_in(const DatasetContents& data, const DatasetContents& more) {
  std::vector<int> labels;
  for (size_t c = 0; c < more.classes.size(); ++c) {
    const auto found = std::ranges::find(data.classes, more.classes[c]);
    labels.push_back(found == data.classes.end() ? -1 : int(found - data.classes.begin()));
    const bool used = std::ranges::any_of(more.samples, [&](const Sample& s) { return s.label == int(c); });
    if (labels.back() < 0 && used) fail_unknown("--add", "class", more.classes[c], data.classes);
  }
  return labels;
}

void balance_data(Arguments& a, Console& console) {
  if (a.given("--per-class") == a.given("--total")) fail("data balance", "needs one of --per-class and --total. Fix: --per-class 4500");
  DatasetContents data = open_data(a, console).contents();
  if (!a.add.empty()) {
    DatasetContents more = added_data(a, console);
    const std::vector<int> labels = labels_in(data, more);
    data = with_added(std::move(data), std::move(more), labels);
  }
  const AlterSettings settings = alter_settings(a, console);
  const auto train_counts = [](const DatasetContents& d) {
    std::vector<size_t> counts(d.classes.size());
    for (const Sample& s : d.samples)
      if (s.split == Split::train && s.label >= 0) ++counts[size_t(s.label)];
    return counts;
  };
  const std::vector<size_t> before = train_counts(data);
  data = balanced(std::move(data), {size_t(a.per_class), size_t(a.total), a.cut, a.seed},
                  [settings](const Image& image, uint32_t version, uint32_t key) { return altered(image, settings, version, key); });
  const std::vector<size_t> after = train_counts(data);
  console.line("class               train  balanced");
  for (size_t c = 0; c < before.size(); ++c) console.print("{:<16.16} {:>8} {:>9}", data.classes[c], before[c], after[c]);
  write_data(a, console, data);
}

}  // namespace

extern const DataAction balance_action;
const DataAction balance_action{
    .name = "balance",
    .arguments = [] {
      std::vector<std::string_view> names = augmentation_arguments();
      names.insert(names.end(), {"--per-class", "--total", "--cut", "--add", "--out", "--format"});
      return names;
    },
    .run = balance_data,
};

}  // namespace vkfer
