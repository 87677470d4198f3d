// FER2013 itself, where VKFER_TEST_DATA names a folder that holds it; skipped, saying so, elsewhere.
#include "tests/data_files.h"
#include "tools/data/cache.h"

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
