#include <algorithm>
#include <array>
#include <filesystem>

#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/data/inspect.h"
#include "tools/data/sampler.h"
#include "tools/train/names.h"
#include "tools/train/resize.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

// ---- inspect --------------------------------------------------------------------------------------------------------

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
  console.answer({{"data", dataset.source()}, {"images", dataset.size()}, {"classes", dataset.classes()}, {"counts", counts}, {"sizes", found.sizes},
                  {"duplicates", group_json(dataset, found.duplicates)}, {"conflicts", group_json(dataset, found.conflicts)},
                  {"across_splits", group_json(dataset, found.across_splits)}, {"constant", constant}, {"unreadable", found.unreadable}});
}

// ---- preview --------------------------------------------------------------------------------------------------------

constexpr int kRows = 8, kVersions = 7, kGap = 2;

// As ops::normalize reads it: mirrored, then shifted over black.
uint8_t shifted(std::span<const uint8_t> picture, int size, int channels, const Augmentation& a, int y, int x, int c) {
  const int row = y - a.dy, column = (a.flip ? size - 1 - x : x) - a.dx;
  if (row < 0 || row >= size || column < 0 || column >= size) return 0;
  return picture[size_t((row * size + column) * channels + c)];
}

// A row for each of some training pictures: as it is, then as the first epochs of a run with these settings see it.
void preview_data(Arguments& a, Console& console) {
  const Dataset dataset = open_data(a, console);
  TrainSettings s = resolve_settings(a, dataset.native_size());
  std::vector<size_t> chosen = labelled(dataset, "train");
  if (chosen.empty()) fail("data", "{} has no labelled training image. Fix: other data", dataset.source());
  const int rows = int(std::min<size_t>(kRows, chosen.size()));
  std::vector<size_t> spread;
  for (int r = 0; r < rows; ++r) spread.push_back(chosen[(size_t(r) * chosen.size() / size_t(rows) + size_t(r)) % chosen.size()]);  // classes may lie in turn
  const int size = s.size, channels = std::max(1, dataset.channels());
  Device device = open_device(a, console);
  const DecodedCache cache(dataset, spread, {.size = size, .channels = channels, .resize = resize_on(device)});

  const int64_t n = int64_t(rows) * kVersions;
  Graph graph;
  const Value in = graph.input("pixels", {{n, size, size, channels}, DType::u8}), table = graph.input("warp", {{n, 20}, DType::f32});
  const Value out = graph.add1(ops::warp, {}, {in, table}, "warp");
  graph.output(out);
  std::vector<uint8_t> pixels, warped(size_t(n) * cache.bytes_per_image());
  std::vector<float> tables;
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < kVersions; ++v) {
      const std::span<const uint8_t> picture = cache.pixels(size_t(r));
      const WarpRow row = warp_row(s.warp, s.seed, uint32_t(v), uint32_t(spread[size_t(r)]), size, picture, channels);
      pixels.insert(pixels.end(), picture.begin(), picture.end());
      tables.insert(tables.end(), row.begin(), row.end());
    }
  States states(device);
  Plan plan = make_plan(graph, target_for(device.info()));
  Executor executor(device, graph, std::move(plan), states);
  executor.write(in, pixels);
  executor.write(table, tables);
  executor.run();
  executor.read(out, std::span<uint8_t>(warped));
  check_validation(device, console);

  Image sheet{rows * (size + kGap) - kGap, (kVersions + 1) * (size + kGap) - kGap, channels, {}};
  sheet.pixels.assign(size_t(sheet.height) * size_t(sheet.width) * size_t(channels), 255);
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v <= kVersions; ++v) {
      const std::span<const uint8_t> picture =
          v == 0 ? cache.pixels(size_t(r)) : std::span<const uint8_t>(warped).subspan(size_t(r * kVersions + v - 1) * cache.bytes_per_image(), cache.bytes_per_image());
      const Augmentation shift = v == 0 ? Augmentation{} : augmentation(s.seed, uint32_t(v - 1), uint32_t(spread[size_t(r)]), s.crop, s.flip ? 0.5f : 0.0f);
      for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x)
          for (int c = 0; c < channels; ++c)
            sheet.pixels[size_t(((r * (size + kGap) + y) * sheet.width + v * (size + kGap) + x) * channels + c)] =
                shifted(picture, size, channels, shift, y, x, c);
    }
  const std::filesystem::path path = a.out.empty() ? "preview.png" : a.out;
  write_png(path, sheet);
  console.print("{}: {} training images, each as it is and as {} epochs see it", path.string(), rows, kVersions);
  console.answer({{"data", dataset.source()}, {"file", path.string()}, {"images", rows}, {"versions", kVersions}});
}

struct Action {
  std::string_view name;
  void (*run)(Arguments&, Console&);
};
constexpr std::array kActions{Action{"inspect", inspect_data}, Action{"preview", preview_data}};

void run_data(Arguments& a, Console& console) {
  if (a.positional.empty()) fail("usage", "what to do is missing: expected inspect or preview. Fix: vkfer data inspect fer2013.zip");
  if (a.positional.size() > 1) {
    if (a.given("--data")) fail("usage", "two data sets: {} and --data {}. Fix: name one", a.positional[1], a.data);
    a.data = a.positional[1];
  }
  find_by_name("usage", "action", kActions, a.positional[0]).run(a, console);
}

}  // namespace

extern const Verb data_verb;
const Verb data_verb{
    .name = "data",
    .summary = "Look at a data set: counts, errors, augmentation",
    .arguments = {"--data", "--size", "--seed", "--val-fraction", "--test-fraction", "--skip-bad", "--no-flip", "--crop", "--rotate", "--shift",
                  "--shear", "--zoom", "--perspective", "--brightness", "--contrast", "--saturation", "--erase", "--out", "--device", "--json"},
    .positional = "action",
    .positional_help = "inspect or preview; then the data, as --data",
    .max_positional = 2,
    .examples = "  vkfer data inspect fer2013.zip\n"
                "  vkfer data preview fer2013.zip --rotate 20 --erase 0.5 -o sheet.png\n\n"
                "inspect counts by split and class, and finds pictures that are equal, equal with\n"
                "different classes, in train and elsewhere, of one colour, or unreadable.\n"
                "preview draws training pictures as epochs with these options see them.",
    .run = run_data,
};

}  // namespace vkfer
