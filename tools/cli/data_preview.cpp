#include <algorithm>
#include <filesystem>

#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "tools/cli/data_action.h"
#include "tools/data/sampler.h"
#include "tools/train/altered_image.h"
#include "tools/train/resize.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

constexpr int kRows = 8, kVersions = 7, kGap = 2;

// A row for each of some training pictures: as it is, then as the first epochs of a run with these settings see it.
void preview_data(Arguments& a, Console& console) {
  const Dataset dataset = open_data(a, console);
  TrainSettings s = resolve_settings(a, dataset.native_size());
  std::vector<size_t> chosen = labelled(dataset, "train", true);
  if (chosen.empty()) fail("data", "{} has no labelled training image. Fix: other data", dataset.source());
  std::vector<size_t> spread;
  for (size_t r = 0, n = std::min<size_t>(kRows, chosen.size()); r < n; ++r)
    spread.push_back(chosen[(r * chosen.size() / n + r) % chosen.size()]);  // classes may lie in turn
  const int size = s.size, channels = std::max(1, dataset.channels());
  Device device = open_device(a, console);
  const DecodedCache cache(dataset, spread, {.size = size, .channels = channels, .skip_bad = s.skip_bad, .resize = resize_on(device),
                                             .left_out = [&](const std::string& problem) { console.notice("left out: " + problem); }});
  const int rows = int(cache.size());
  if (rows == 0) fail("data", "{}: none of the {} pictures to show could be read. Fix: vkfer data inspect names them", dataset.source(), spread.size());

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
      const WarpRow row = warp_row(s.warp, s.seed, uint32_t(v), uint32_t(cache.dataset_index(size_t(r))), size, picture, channels);
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
  const size_t row_bytes = size_t(size) * size_t(channels);
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v <= kVersions; ++v) {
      const std::span<const uint8_t> picture =
          v == 0 ? cache.pixels(size_t(r)) : std::span<const uint8_t>(warped).subspan(size_t(r * kVersions + v - 1) * cache.bytes_per_image(), cache.bytes_per_image());
      const Augmentation shift = v == 0 ? Augmentation{} : augmentation(s.seed, uint32_t(v - 1), uint32_t(cache.dataset_index(size_t(r))), s.crop, s.flip ? 0.5f : 0.0f);
      const Image seen = moved({size, size, channels, {picture.begin(), picture.end()}}, shift);
      for (int y = 0; y < size; ++y)
        std::copy_n(seen.pixels.begin() + ptrdiff_t(size_t(y) * row_bytes), row_bytes,
                    sheet.pixels.begin() + ptrdiff_t((size_t(r * (size + kGap) + y) * size_t(sheet.width) + size_t(v * (size + kGap))) * size_t(channels)));
    }
  const std::filesystem::path path = a.out.empty() ? "preview.png" : a.out;
  write_png(path, sheet);
  console.print("{}: {} training images, each as it is and as {} epochs see it", path.string(), rows, kVersions);
  console.answer({{"data", dataset.source()}, {"file", path.string()}, {"images", rows}, {"versions", kVersions}});
}

}  // namespace

extern const DataAction preview_action;
const DataAction preview_action{
    .name = "preview",
    .arguments = [] {
      std::vector<std::string_view> names = augmentation_arguments();
      names.insert(names.end(), {"--size", "--out", "--device"});
      return names;
    },
    .run = preview_data,
};

}  // namespace vkfer
