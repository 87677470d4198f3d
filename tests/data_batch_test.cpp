// Random numbers, sampling, ordered workers and the cache.
#include <array>
#include <map>

#include "tests/data_files.h"
#include "tools/data/cache.h"
#include "tools/data/ordered_workers.h"
#include "tools/data/sampler.h"

using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("philox: known answers of Random123", "[data]") {
  // kat_vectors of the authors' library, lines "philox4x32 10".
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Philox4{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Philox4{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Philox4{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox: below() is even and streams differ", "[data]") {
  PhiloxSequence random(5, PhiloxStream::shuffle);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(random.below(7));
  for (const int count : counts) CHECK(std::abs(count - 10'000) < 400);
  CHECK(random.below(1) == 0);
  PhiloxSequence a(5, PhiloxStream::shuffle, 1), b(5, PhiloxStream::augment, 1), c(5, PhiloxStream::shuffle, 2);
  const uint32_t first = a.next();
  CHECK(first != b.next());
  CHECK(first != c.next());
}

TEST_CASE("sampler: permutations that depend on seed and epoch alone", "[data]") {
  const Sampler sampler(100, {.batch = 8, .seed = 3});
  CHECK(sampler.batches() == 12);
  const std::vector<uint32_t> order = sampler.order(5);
  std::vector<uint32_t> sorted = order;
  std::ranges::sort(sorted);
  for (uint32_t i = 0; i < 100; ++i) CHECK(sorted[i] == i);
  CHECK(order == Sampler(100, {.batch = 16, .seed = 3}).order(5));
  CHECK(order != sampler.order(6));
  CHECK(order != Sampler(100, {.batch = 8, .seed = 4}).order(5));
  CHECK(std::vector<uint32_t>(order.begin(), order.begin() + 4) == std::vector<uint32_t>{10, 28, 11, 98});
  const auto batches = sampler.epoch(5);
  REQUIRE(batches.size() == 12);
  for (size_t b = 0; b < 12; ++b)
    for (size_t i = 0; i < 8; ++i) CHECK(batches[b][i] == order[b * 8 + i]);
}

TEST_CASE("sampler: evaluation is padded, training is not", "[data]") {
  const auto batches = Sampler(10, {.batch = 4, .shuffle = false, .drop_last = false}).epoch(0);
  CHECK(batches == std::vector<std::vector<int64_t>>{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, kPadding, kPadding}});
  CHECK_THROWS_WITH(Sampler(3, {.batch = 4}), contains("--batch 3"));
  CHECK_THROWS_AS(Sampler(3, {.batch = 0}), Error);
  CHECK(Sampler(0, {.batch = 4, .drop_last = false}).epoch(0).empty());
}

TEST_CASE("augmentation: flips half, shifts evenly, repeats", "[data]") {
  int flips = 0;
  std::map<int, int> shifts;
  for (uint32_t sample = 0; sample < 9000; ++sample) {
    const Augmentation a = augmentation(1, 2, sample, 4), b = augmentation(1, 2, sample, 4);
    REQUIRE((a.flip == b.flip && a.dx == b.dx && a.dy == b.dy));
    flips += a.flip;
    ++shifts[a.dx];
  }
  CHECK(std::abs(flips - 4500) < 200);
  CHECK(shifts.size() == 9);
  CHECK((shifts.begin()->first == -4 && shifts.rbegin()->first == 4));
  for (const auto& [shift, count] : shifts) CHECK(std::abs(count - 1000) < 120);
  const Augmentation none = augmentation(1, 2, 3, 0, 0);
  CHECK((!none.flip && none.dx == 0 && none.dy == 0));
}

TEST_CASE("workers: in order, within limits, errors at their turn", "[data]") {
  for (const int threads : {1, 3, 8}) {
    OrderedWorkers<int> workers(
        100, {.threads = threads, .items = 5, .bytes = 3}, [](size_t i) {
          if (i == 60) fail("test", "item 60");
          return static_cast<int>(i * i);
        },
        [](const int&) { return size_t{1}; });
    for (int i = 0; i < 60; ++i) CHECK(*workers.next() == i * i);
    CHECK_THROWS_WITH(workers.next(), contains("item 60"));
    CHECK(*workers.next() == 61 * 61);
  }  // the rest is abandoned without hanging
  OrderedWorkers<int> none(0, {}, [](size_t) { return 1; }, [](const int&) { return size_t{1}; });
  CHECK(!none.next());
}

namespace {

// Nearest neighbour stands in for the device.
std::vector<uint8_t> nearest(std::span<const Image> images, int size) {
  std::vector<uint8_t> out;
  for (const Image& image : images)
    for (int y = 0; y < size; ++y)
      for (int x = 0; x < size; ++x)
        for (int c = 0; c < image.channels; ++c)
          out.push_back(image.pixels[(static_cast<size_t>(y * image.height / size) * image.width + x * image.width / size) * image.channels + c]);
  return out;
}

}  // namespace

TEST_CASE("cache: the same bytes whatever the threads, in memory and per batch", "[data]") {
  SyntheticOptions faces{.train = 50, .val = 7, .test = 7, .size = 24};
  DatasetOptions options;
  options.synthetic = faces;
  const Dataset data = open_dataset("builtin", options);
  const std::vector<size_t> train = data.split("train");
  const DecodedCache one(data, train, {.size = 24, .threads = 1});
  REQUIRE((one.in_memory() && one.size() == 50 && one.channels() == 1));
  for (size_t i = 0; i < 50; ++i) CHECK(std::ranges::equal(one.pixels(i), data.image(train[i]).pixels));

  const auto batches = Sampler(50, {.batch = 8, .drop_last = false}).epoch(1);
  const DecodedCache streamed(data, train, {.size = 24, .threads = 5, .memory_bytes = 1000});
  CHECK(!streamed.in_memory());
  BatchLoader a(one, batches), b(streamed, batches);
  std::vector<int64_t> pa, pb;
  std::vector<uint8_t> xa, xb;
  size_t count = 0;
  while (a.next(pa, xa)) {
    REQUIRE(b.next(pb, xb));
    CHECK((pa == pb && xa == xb));
    CHECK(xa.size() == 8 * 24 * 24);
    ++count;
  }
  CHECK(!b.next(pb, xb));
  CHECK((count == 7 && pa[7] == kPadding && xa.back() == 0));
  BatchLoader abandoned(streamed, batches);
  CHECK(abandoned.next(pb, xb));
}

TEST_CASE("cache: sizes go through the resizer, gray becomes colour when needed", "[data]") {
  const TempDir dir;
  for (int i = 0; i < 9; ++i) write_png(dir.path / "a" / fmt::format("{}.png", i), (fs::create_directories(dir.path / "a"), picture(8 + i, 8, 1, i)));
  fs::create_directories(dir.path / "b");
  write_png(dir.path / "b" / "0.png", picture(8, 8, 3));
  write_png(dir.path / "b" / "1.png", picture(30, 20, 3));
  const Dataset data = open_dataset(dir.path.string());
  size_t calls = 0;
  const Resize resize = [&](std::span<const Image> images, int size) {
    ++calls;
    CHECK(images.size() <= 4);
    for (const Image& image : images) CHECK(image.channels == images[0].channels);
    return nearest(images, size);
  };
  for (const size_t memory : {size_t{1} << 20, size_t{100}}) {
    const DecodedCache cache(data, data.split("all"), {.size = 8, .memory_bytes = memory, .chunk = 4, .resize = resize});
    CHECK(cache.channels() == 3);
    std::vector<std::vector<int64_t>> batch{{}};
    for (int64_t i = 0; i < 11; ++i) batch[0].push_back(i);
    BatchLoader loader(cache, batch);
    std::vector<int64_t> positions;
    std::vector<uint8_t> pixels;
    REQUIRE(loader.next(positions, pixels));
    for (size_t i = 0; i < 11; ++i) {
      const std::vector<Image> image{convert_channels(data.image(i), 3)};
      const std::vector<uint8_t> expected = nearest(image, 8);
      CHECK(std::equal(expected.begin(), expected.end(), pixels.begin() + static_cast<std::ptrdiff_t>(i * 8 * 8 * 3)));
    }
  }
  CHECK(calls > 0);
  CHECK_THROWS_WITH(DecodedCache(data, data.split("all"), {.size = 9}), contains("expected 9x9"));
  const DecodedCache gray(data, {0, 9}, {.size = 8, .channels = 1});
  CHECK(std::ranges::equal(gray.pixels(1), convert_channels(picture(8, 8, 3), 1).pixels));
}

TEST_CASE("cache: a colour image that turns up late widens what is there", "[data]") {
  DatasetContents contents;
  contents.classes = {"a", "b"};
  contents.channels = 1, contents.native_size = 4;
  for (size_t i = 0; i < 6; ++i) {
    Sample sample;
    sample.id = std::to_string(i), sample.label = i % 2, sample.split = Split::train, sample.entry = i;
    contents.samples.push_back(sample);
  }
  contents.decode = [](const Sample& s) { return picture(4, 4, s.entry == 4 ? 3 : 1, static_cast<uint32_t>(s.entry)); };
  const Dataset data(contents, {.val_fraction = 0, .test_fraction = 0});
  const DecodedCache cache(data, data.split("train"), {.size = 4});
  REQUIRE(cache.channels() == 3);
  for (size_t i = 0; i < 6; ++i) CHECK(std::ranges::equal(cache.pixels(i), convert_channels(data.image(i), 3).pixels));
}

TEST_CASE("cache: bad images stop it by name, or are left out", "[data]") {
  const TempDir dir;
  write_classes(dir.path, {"a", "b"}, 10);
  write_file(dir.path / "a" / "004.jpg", "no image");
  write_file(dir.path / "b" / "002.jpg", first(small_jpeg(5), 100));
  const Dataset data = open_dataset(dir.path.string());
  for (const int threads : {1, 4}) {
    CHECK_THROWS_WITH(DecodedCache(data, data.split("all"), {.size = 16, .threads = threads}), contains("a/004.jpg"));
    const DecodedCache cache(data, data.split("all"), {.size = 16, .threads = threads, .skip_bad = true});
    REQUIRE((cache.size() == 18 && cache.skipped().size() == 2));
    CHECK_THAT(cache.skipped()[1], contains("b/002.jpg"));
    CHECK(cache.sample(4).id == "a/005.jpg");
    CHECK(std::ranges::equal(cache.pixels(4), data.image(5).pixels));
  }
  std::vector<std::string> left_out;
  const auto note = [&](const std::string& problem) { left_out.push_back(problem); };
  DecodedCache(data, data.split("all"), {.size = 16, .skip_bad = true, .left_out = note});
  CHECK(left_out.size() == 2);
  left_out.clear();
  const DecodedCache streamed(data, data.split("all"), {.size = 16, .memory_bytes = 1, .skip_bad = true, .left_out = note});
  BatchLoader loader(streamed, {{3, kPadding, 4, 5}});
  std::vector<int64_t> positions;
  std::vector<uint8_t> pixels;
  REQUIRE(loader.next(positions, pixels));
  CHECK(positions == std::vector<int64_t>{3, kPadding, kPadding, 5});
  REQUIRE(left_out.size() == 1);
  CHECK_THAT(left_out[0], contains("a/004.jpg"));
  const DecodedCache strict(data, data.split("all"), {.size = 16, .memory_bytes = 1});
  BatchLoader failing(strict, {{3, 4, 5}});
  CHECK_THROWS_WITH(failing.next(positions, pixels), contains("a/004.jpg"));
}
