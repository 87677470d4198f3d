// What `vkfer data inspect` finds.
#include "tools/data/inspect.h"

#include "runtime/error.h"
#include "tests/catch.h"

using namespace vkfer;

TEST_CASE("inspect: equal pictures, conflicting classes, leaks between splits, constant and unreadable pictures", "[data]") {
  struct Row {
    int label, picture;  // picture -1: unreadable
    Split split;
  };
  const std::vector<Row> rows{{0, 1, Split::train}, {1, 2, Split::train}, {0, 1, Split::val},  {1, 3, Split::train}, {0, 3, Split::train},
                              {1, 4, Split::test},  {0, 4, Split::test},  {0, 0, Split::train}, {1, -1, Split::train}, {-1, 5, Split::train}};
  DatasetContents contents{"rows", {"a", "b"}, {}, {}, 4, 1, true, {}};
  for (size_t i = 0; i < rows.size(); ++i) {
    Sample s{.id = "row " + std::to_string(i), .label = rows[i].label, .split = rows[i].split, .entry = i};
    contents.samples.push_back(s);
  }
  contents.decode = [&](const Sample& s) {
    const int picture = rows[s.entry].picture;
    if (picture < 0) fail("png", "{}: truncated", s.id);
    Image image{4, picture == 5 ? 8 : 4, 1, std::vector<uint8_t>(picture == 5 ? 32 : 16, uint8_t(picture))};
    if (picture > 0) image.pixels[size_t(picture)] = 200;
    return image;
  };
  contents.bad_rows = {"list.csv:7: there is no file"};
  const Dataset dataset(contents, {});
  const Inspection found = inspect(dataset);
  CHECK(found.duplicates == std::vector<std::vector<size_t>>{{0, 2}, {3, 4}, {5, 6}});
  CHECK(found.conflicts == std::vector<std::vector<size_t>>{{3, 4}, {5, 6}});
  CHECK(found.across_splits == std::vector<std::vector<size_t>>{{0, 2}});
  CHECK(found.constant == std::vector<size_t>{7});
  REQUIRE(found.unreadable.size() == 2);
  CHECK_THAT(found.unreadable[0], contains("list.csv:7"));
  CHECK_THAT(found.unreadable[1], contains("row 8"));
  CHECK(found.sizes == std::map<std::string, size_t>{{"4x4x1", 8}, {"4x8x1", 1}});
  CHECK(found.counts.at("train") == std::vector<size_t>{3, 3, 1});
  CHECK(found.counts.at("test") == std::vector<size_t>{1, 1, 0});
}
