// Class folders and splits.
#include <set>

#include "tests/data_files.h"

using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("class folders: one folder is split by seed, class by class", "[data]") {
  const TempDir dir;
  write_classes(dir.path, {"sad", "happy"}, 20);
  const Dataset data = open_dataset(dir.path.string());
  CHECK(data.classes() == std::vector<std::string>{"happy", "sad"});
  CHECK((data.size() == 40 && data.native_size() == 16 && data.channels() == 1 && !data.synthetic() && !data.official_split()));
  CHECK(data.split("train").size() == 32);
  CHECK(data.class_counts("val") == std::vector<size_t>{2, 2});
  CHECK(data.class_counts("test") == std::vector<size_t>{2, 2});
  CHECK(data.sample(0).id == "happy/000.jpg");
  CHECK(data.image(0).pixels.size() == 256);
  CHECK(data.split("PublicTest").empty());
  CHECK_THROWS_WITH(data.split("tset"), contains("tset") && contains("PrivateTest"));

  std::set<size_t> all;  // the three parts are disjoint and complete
  for (const char* part : {"train", "val", "test"})
    for (const size_t i : data.split(part)) CHECK(all.insert(i).second);
  CHECK(all.size() == 40);

  const Dataset again = open_dataset(dir.path.string());
  CHECK(again.split("test") == data.split("test"));
  DatasetOptions other;
  other.seed = 2;
  CHECK(open_dataset(dir.path.string(), other).split("test") != data.split("test"));
  other.val_fraction = 0.25, other.test_fraction = 0.25;
  CHECK(open_dataset(dir.path.string(), other).class_counts("val") == std::vector<size_t>{5, 5});
  other.val_fraction = 0.6, other.test_fraction = 0.5;
  CHECK_THROWS_WITH(open_dataset(dir.path.string(), other), contains("fractions"));
}

TEST_CASE("splits: the same on every platform, and stable when files are added", "[data]") {
  const TempDir dir;
  write_classes(dir.path, {"a", "b"}, 10);
  const Dataset before = open_dataset(dir.path.string());
  std::vector<std::string> held;
  for (const char* part : {"val", "test"})
    for (const size_t i : before.split(part)) held.push_back(before.sample(i).id);
  CHECK(held == std::vector<std::string>{"a/002.jpg", "b/002.jpg", "a/008.jpg", "b/007.jpg"});
  write_file(dir.path / "a" / "more.jpg", small_jpeg(99));
  const Dataset after = open_dataset(dir.path.string());
  size_t moved = 0;
  for (size_t i = 0; i < before.size(); ++i)
    for (size_t j = 0; j < after.size(); ++j)
      if (before.sample(i).id == after.sample(j).id) moved += before.sample(i).split != after.sample(j).split;
  CHECK(moved <= 2);
}

TEST_CASE("class folders: train, val and test folders", "[data]") {
  const TempDir dir;
  write_classes(dir.path / "data" / "train", {"a", "b"}, 10);
  write_classes(dir.path / "data" / "Test", {"a", "b"}, 4);
  write_file(dir.path / "data" / "README.txt", "hello");
  write_file(dir.path / "data" / "train" / ".DS_Store", "x");
  write_file(dir.path / "data" / "train" / "a" / "Thumbs.db", "x");

  SECTION("val is carved off train when it is missing, test is left alone") {
    const Dataset data = open_dataset(dir.path.string());  // one folder too high is fine
    CHECK(data.class_counts("train") == std::vector<size_t>{9, 9});
    CHECK(data.class_counts("val") == std::vector<size_t>{1, 1});
    CHECK(data.class_counts("test") == std::vector<size_t>{4, 4});
    REQUIRE(data.warnings().size() == 2);
    CHECK_THAT(data.warnings()[0], contains("README.txt"));
    CHECK_THAT(data.warnings()[1], contains("2 of the training images"));
  }
  SECTION("all three as given") {
    write_classes(dir.path / "data" / "validation", {"a", "b"}, 3);
    const Dataset data = open_dataset((dir.path / "data").string());
    CHECK(data.split("train").size() == 20);
    CHECK(data.split("val").size() == 6);
    CHECK(data.split("test").size() == 8);
  }
  SECTION("a class only in test") {
    write_classes(dir.path / "data" / "Test", {"c"}, 1);
    CHECK_THROWS_WITH(open_dataset(dir.path.string()), contains("'c'") && contains("no training image"));
  }
}

TEST_CASE("class folders: FER2013's official split from file names", "[data]") {
  const TempDir dir;
  write_classes(dir.path / "train", {"a", "b"}, 5, "Training_");
  write_classes(dir.path / "test", {"a", "b"}, 3, "PublicTest_");
  write_classes(dir.path / "test", {"a", "b"}, 2, "PrivateTest_");
  const Dataset data = open_dataset(dir.path.string());
  CHECK(data.official_split());
  CHECK(data.split("train").size() == 10);
  CHECK(data.split("val").size() == 6);
  CHECK(data.split("val") == data.split("PublicTest"));
  CHECK(data.split("test").size() == 10);
  CHECK(data.split("PrivateTest").size() == 4);
  CHECK(data.split("all").size() == 20);
  // Its train folder alone is data to be split.
  const Dataset train = open_dataset((dir.path / "train").string());
  CHECK(!train.official_split());
  CHECK(train.split("val").size() == 2);
  // Its test folder alone can be evaluated.
  CHECK(open_dataset((dir.path / "test").string()).split("train").empty());
}

TEST_CASE("class folders: mistakes are explained", "[data]") {
  const TempDir dir;
  const std::string root = (dir.path / "d").string();
  CHECK_THROWS_WITH(open_dataset(root), contains(root) && contains("does not exist") && contains("Fix:"));
  fs::create_directories(root);
  CHECK_THROWS_WITH(open_dataset(root), contains("0 class folders"));
  write_classes(root, {"a", "b"}, 3);
  SECTION("one class") {
    fs::remove_all(fs::path(root) / "b");
    CHECK_THROWS_WITH(open_dataset(root), contains("1 class folders"));
  }
  SECTION("a class with no image") {
    fs::create_directories(fs::path(root) / "c");
    CHECK_THROWS_WITH(open_dataset(root), contains("class 'c' has no image"));
  }
  SECTION("an image outside the classes") {
    write_file(fs::path(root) / "lost.JPG", small_jpeg(1));
    CHECK_THROWS_WITH(open_dataset(root), contains("lost.JPG") && contains("no class folder"));
  }
  SECTION("files that are no images") {
    for (const char* name : {"a", "b"})
      for (int i = 0; i < 3; ++i) write_file(fs::path(root) / name / fmt::format("00{}.jpg", i), "plain text");
    CHECK_THROWS_WITH(open_dataset(root), contains("a/000.jpg") && contains("not an image"));
  }
  SECTION("one file that is no image is found on decoding") {
    write_file(fs::path(root) / "b" / "001.jpg", "plain text");
    const Dataset data = open_dataset(root);
    CHECK_THROWS_WITH(data.image(4), contains("b/001.jpg"));
  }
  SECTION("a link that leads back") {
    fs::create_directory_symlink(root, fs::path(root) / "a" / "loop");
    CHECK_THROWS_AS(open_dataset(root), Error);
  }
  SECTION("a file of another kind") {
    write_file(dir.path / "x.zip", "not a zip at all");
    CHECK_THROWS_WITH(open_dataset((dir.path / "x.zip").string()), contains("x.zip") && contains("not a zip"));
    write_file(dir.path / "empty.csv", "");
    CHECK_THROWS_WITH(open_dataset((dir.path / "empty.csv").string()), contains("is empty"));
    write_file(dir.path / "photo.jpg", small_jpeg(1));
    CHECK_THROWS_AS(open_dataset((dir.path / "photo.jpg").string()), Error);
    write_file(dir.path / "other.csv", "a,b\n1,2\n");
    CHECK_THROWS_WITH(open_dataset((dir.path / "other.csv").string()), contains("other.csv") && contains("pixels"));
  }
}
