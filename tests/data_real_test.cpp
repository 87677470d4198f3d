// FER2013 itself, where VKFER_TEST_DATA names a folder that holds it; skipped, saying so, elsewhere.
#include "tests/data_files.h"
#include "tools/data/balance.h"
#include "tools/data/cache.h"
#include "tools/data/writer.h"
#include "tools/train/altered_image.h"

using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("FER2013: the whole zip", "[data][real]") {
  const std::string path = test_data("fer2013.zip");
  if (path.empty()) return;
  const Dataset data = open_dataset(path);
  CHECK(data.classes() == std::vector<std::string>{"angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"});
  CHECK((data.native_size() == 48 && data.channels() == 1 && data.official_split() && data.warnings().empty()));
  CHECK(data.split("train").size() == 28'709);
  CHECK(data.split("val").size() == 3'589);
  CHECK(data.split("PrivateTest").size() == 3'589);
  CHECK(data.split("test").size() == 7'178);
  const DecodedCache cache(data, data.split("test"), {.size = 48});
  CHECK((cache.size() == 7'178 && cache.channels() == 1));

  // Balanced as for the study R4, written, and read again; the originals byte for byte.
  const TempDir dir;
  const Alter mirrored = [](const Image& image, uint32_t, uint32_t) { return moved(image, {.flip = true}); };
  write_dataset(balanced(data.contents(), {.total = 33'595, .cut = true}, mirrored), dir.path / "balanced.zip", format_for("", "balanced.zip"));
  const Dataset even = open_dataset((dir.path / "balanced.zip").string());
  CHECK(even.class_counts("train") == std::vector<size_t>{4800, 4800, 4799, 4799, 4799, 4799, 4799});
  CHECK((even.official_split() && even.split("val").size() == 3'589 && even.split("test").size() == 7'178));
  for (size_t i = 0, held = 0; i < data.size() && held < 50; i += 97) {
    if (data.sample(i).split == Split::train) continue;
    const auto same = std::ranges::find(even.contents().samples, data.sample(i).id.substr(data.sample(i).id.find("test/")), &Sample::id);
    REQUIRE(same != even.contents().samples.end());
    CHECK(original_bytes(even.contents(), *same) == original_bytes(data.contents(), data.sample(i)));
    ++held;
  }
}

TEST_CASE("FER2013: unpacked folders, the original csv and AFEW-VA", "[data][real]") {
  if (const std::string path = test_data("fer2013-mini"); !path.empty()) {
    const Dataset data = open_dataset(path);
    CHECK((data.class_counts("train") == std::vector<size_t>(7, 24) && data.class_counts("test") == std::vector<size_t>(7, 12)));
    CHECK((data.official_split() && data.native_size() == 48));
    const DecodedCache cache(data, data.split("all"), {.size = 48});
    CHECK(cache.size() == 7 * 36);
  }
  if (const std::string path = test_data("fer2013_head.csv"); !path.empty()) {
    const Dataset data = open_dataset(path);
    CHECK((data.size() > 0 && data.native_size() == 48 && data.image(0).pixels[0] == 70));
  }
  if (const std::string path = test_data("afewva"); !path.empty()) {
    const Dataset data = open_dataset(path);
    CHECK((data.size() == 160 && data.classes().empty() && data.has_valence() && data.native_size() == 224 && data.channels() == 3));
  }
}
