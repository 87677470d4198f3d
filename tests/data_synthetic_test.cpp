// The built-in synthetic faces.
#include <array>

#include "tests/data_files.h"

using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("synthetic: called so, balanced, labelled and deterministic", "[data]") {
  const Dataset data = open_dataset("");
  CHECK(data.synthetic());
  CHECK(data.source() == "built-in synthetic faces");
  CHECK(data.classes() == std::vector<std::string>{"angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"});
  CHECK((data.native_size() == 48 && data.channels() == 1));
  CHECK((data.split("train").size() == 1400 && data.split("val").size() == 350 && data.split("test").size() == 350));
  for (const char* part : {"train", "val", "test"}) {
    const std::vector<size_t> counts = data.class_counts(part);
    CHECK(*std::ranges::max_element(counts) - *std::ranges::min_element(counts) <= 1);
  }
  std::array<double, 7> valence{}, arousal{};
  for (const size_t i : data.split("train")) {
    const Sample& s = data.sample(i);
    REQUIRE((s.valence >= -1 && s.valence <= 1 && s.arousal >= -1 && s.arousal <= 1));
    valence[s.label] += s.valence / 200, arousal[s.label] += s.arousal / 200;
  }
  CHECK(valence[3] > 0.5);                     // happy
  CHECK(valence[0] < -0.3);                    // angry
  CHECK(std::abs(valence[4]) < 0.05);          // neutral
  CHECK((arousal[5] < -0.2 && arousal[6] > 0.5));  // sad, surprise

  DatasetOptions more;
  more.synthetic.train = 70;
  const Dataset small = open_dataset("builtin", more);
  CHECK(small.image(small.split("test")[3]).pixels == data.image(data.split("test")[3]).pixels);
  more.synthetic.seed = 2;
  CHECK(open_dataset("builtin", more).image(0).pixels != small.image(0).pixels);
  more.synthetic.size = 3;
  CHECK_THROWS_WITH(open_dataset("builtin", more), contains("size 3"));
}

TEST_CASE("synthetic: the same bytes on every platform", "[data]") {
  uLong gray = 0, colour = 0;
  for (uint32_t i = 0; i < 70; ++i) {
    const Image a = draw_synthetic_face(1, i, 48, 1), b = draw_synthetic_face(7, i, 40, 3);
    REQUIRE((a.pixels.size() == 48 * 48 && b.pixels.size() == 40 * 40 * 3));
    gray = crc32(gray, a.pixels.data(), static_cast<uInt>(a.pixels.size()));
    colour = crc32(colour, b.pixels.data(), static_cast<uInt>(b.pixels.size()));
  }
  CHECK(gray == 0xd50306fb);
  CHECK(colour == 0xaf8dfa06);
}

TEST_CASE("synthetic: the mouth and brows move as the expression says", "[data]") {
  // Averaged over many faces, happy and sad differ around the mouth more than in the background.
  std::array<std::vector<double>, 7> mean;
  for (auto& m : mean) m.assign(48 * 48, 0);
  for (uint32_t i = 0; i < 700; ++i) {
    const Image image = draw_synthetic_face(1, i, 48, 1);
    for (size_t p = 0; p < image.pixels.size(); ++p) mean[i % 7][p] += image.pixels[p] / 100.0;
  }
  const auto difference = [&](int y0, int y1) {
    double sum = 0;
    for (int y = y0; y < y1; ++y)
      for (int x = 16; x < 32; ++x) {
        const size_t p = static_cast<size_t>(y) * 48 + x;
        sum += std::abs((mean[6][p]) - (mean[4][p]));
      }
    return sum / ((y1 - y0) * 16);
  };
  CHECK(difference(32, 42) > 2 * difference(0, 8));
}
