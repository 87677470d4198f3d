// FER2013 csv, the csv manifest and AffectNet annotations.
#include <map>

#include "tests/data_files.h"

using namespace vkfer;
using namespace vkfer::test;
using namespace std::string_literals;

namespace {

std::string pixels_of(int count, int value) {
  std::string text;
  for (int i = 0; i < count; ++i) text += fmt::format("{}{}", i ? " " : "", (value + i) % 256);
  return text;
}

}  // namespace

TEST_CASE("fer csv: the original layout and its variants", "[data]") {
  const TempDir dir;
  const fs::path path = dir.path / "fer.csv";
  SECTION("official split") {
    std::string text = "emotion,pixels,Usage\r\n";
    for (const char* usage : {"Training", "Training", "PublicTest", "PrivateTest"}) text += fmt::format("3,{},{}\r\n", pixels_of(16, 5), usage);
    write_file(path, text);
    const Dataset data = open_dataset(path.string());
    CHECK(data.classes() == std::vector<std::string>{"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"});
    CHECK((data.size() == 4 && data.native_size() == 4 && data.channels() == 1 && data.official_split()));
    CHECK((data.sample(0).label == 3 && data.sample(3).id == "row 3"));
    CHECK(data.split("train").size() == 2);
    CHECK(data.split("val") == std::vector<size_t>{2});
    CHECK(data.split("test") == std::vector<size_t>{2, 3});
    CHECK(data.image(0).pixels[15] == 20);
  }
  SECTION("blanks in the header, another column order, a byte order mark, quotes") {
    write_file(path, fmt::format("\xEF\xBB\xBF" "emotion, Usage, pixels\n0,Training,\"{}\"\n6,PrivateTest,{}\n\n", pixels_of(9, 0), pixels_of(9, 100)));
    const Dataset data = open_dataset(path.string());
    CHECK((data.size() == 2 && data.sample(1).label == 6 && data.sample(1).split == Split::private_test));
    CHECK(data.image(1).pixels[0] == 100);
  }
  SECTION("train.csv without Usage is split by seed") {
    std::string text = "emotion,pixels\n";
    for (int i = 0; i < 100; ++i) text += fmt::format("{},{}\n", i % 2, pixels_of(4, i));
    write_file(path, text);
    const Dataset data = open_dataset(path.string());
    CHECK(data.split("train").size() == 80);
    CHECK(data.class_counts("test") == std::vector<size_t>{5, 5, 0, 0, 0, 0, 0});
    CHECK_THAT(data.warnings().at(0), contains("class 'fear' has no image"));
  }
  SECTION("test.csv without emotion is unlabelled") {
    write_file(path, fmt::format("pixels\n{}\n{}\n", pixels_of(4, 0), pixels_of(4, 1)));
    const Dataset data = open_dataset(path.string());
    CHECK((!data.has_labels() && data.sample(0).label == -1 && data.split("test").size() == 2));
  }
}

TEST_CASE("fer csv: bad rows are named by line, or skipped and counted", "[data]") {
  const TempDir dir;
  const fs::path path = dir.path / "train.csv";
  const std::string good = fmt::format("0,{},Training\n", pixels_of(2304, 1));
  const auto with = [&](const std::string& row) { write_file(path, "emotion,pixels,Usage\n" + good + row + good); };
  const std::vector<std::pair<std::string, std::string>> cases{
      {fmt::format("0,{},Training\n", pixels_of(2303, 1)), "2303 pixels, expected 2304 (48x48)"},
      {fmt::format("0,{},Training\n", pixels_of(2305, 1)), "2305 pixels"},
      {"0,,Training\n", "0 pixels"},
      {fmt::format("7,{},Training\n", pixels_of(2304, 1)), "emotion '7'"},
      {fmt::format("-1,{},Training\n", pixels_of(2304, 1)), "emotion '-1'"},
      {fmt::format("x,{},Training\n", pixels_of(2304, 1)), "emotion 'x'"},
      {fmt::format("0,{} 256,Training\n", pixels_of(2303, 1)), "0 to 255"},
      {fmt::format("0,{} -1,Training\n", pixels_of(2303, 1)), "0 to 255"},
      {fmt::format("0,{} 1x,Training\n", pixels_of(2303, 1)), "0 to 255"},
      {fmt::format("0,{},Nothing\n", pixels_of(2304, 1)), "Usage 'Nothing'"},
      {fmt::format("0,{}\n", pixels_of(2304, 1)), "2 fields, expected 3"},
  };
  for (const auto& [row, message] : cases) {
    with(row);
    CHECK_THROWS_WITH(open_dataset(path.string()), contains("train.csv:3:") && contains(message) && contains("--skip-bad"));
    DatasetOptions skip;
    skip.skip_bad = true;
    const Dataset data = open_dataset(path.string(), skip);
    CHECK(data.size() == 2);
    CHECK_THAT(data.warnings().at(0), contains("1 bad rows") && contains("train.csv:3"));
  }
  write_file(path, "emotion,pixels,Usage\n");
  CHECK_THROWS_WITH(open_dataset(path.string()), contains("holds no images"));
  write_file(path, std::string("emotion,pixels\n0,1\0 2\n", 21));
  CHECK_THROWS_WITH(open_dataset(path.string()), contains("binary"));
  write_file(path, "emotion,pixels\n0,\"1 2\n");
  CHECK_THROWS_WITH(open_dataset(path.string()), contains("quote"));
}

TEST_CASE("csv: random damage never crashes", "[data][fuzz]") {
  const TempDir dir;
  std::string text = "emotion,pixels,Usage\n";
  for (int i = 0; i < 6; ++i) text += fmt::format("{},{},{}\n", i, pixels_of(9, i), i < 3 ? "Training" : "PublicTest");
  const int rounds = fuzz_rounds(300);
  flip_bytes(to_bytes(text), rounds, 11, [&](const Bytes& bytes) {
    write_file(dir.path / "fuzz.csv", bytes);
    const Dataset data = open_dataset((dir.path / "fuzz.csv").string());
    for (size_t i = 0; i < data.size(); ++i) data.image(i);
  });
  write_file(dir.path / "a.jpg", small_jpeg(1));
  const Bytes manifest = to_bytes("image,label,valence,arousal,split,x,y,w,h\na.jpg,0,0.5,-1,train,0,0,4,4\na.jpg,1,,,val,1,2,3,4\n");
  flip_bytes(manifest, rounds, 12, [&](const Bytes& bytes) {
    write_file(dir.path / "fuzz.csv", bytes);
    const Dataset data = open_dataset((dir.path / "fuzz.csv").string());
    for (size_t i = 0; i < data.size(); ++i) data.image(i);
  });
}

TEST_CASE("manifest: labels, affect, splits, weights and boxes", "[data]") {
  const TempDir dir;
  write_file(dir.path / "img/a.jpg", small_jpeg(1));
  write_png(dir.path / "img/b.png", picture(20, 10, 3));
  const fs::path path = dir.path / "list.csv";
  write_file(path,
             "split,image,label,valence,arousal,weight,x,y,w,h\n"
             "train,img/a.jpg,sad,-0.5,-0.25,2,,,,\n"
             "train,img/b.png,happy,-2,-2,,4,2,6,5\n"
             "val,img/b.png,happy,0.5,1,,,,,\n"
             "test,\"img/a.jpg\",,0,0,1,0,0,16,16\n");
  const Dataset data = open_dataset(path.string());
  CHECK(data.classes() == std::vector<std::string>{"happy", "sad"});
  REQUIRE(data.size() == 4);
  CHECK((data.sample(0).label == 1 && data.sample(0).valence == -0.5f && data.sample(0).weight == 2));
  CHECK((std::isnan(data.sample(1).valence) && std::isnan(data.sample(1).arousal)));
  CHECK((data.sample(3).label == -1 && data.sample(2).id == "img/b.png#1"));
  CHECK((data.split("train").size() == 2 && data.split("val") == std::vector<size_t>{2} && data.split("test") == std::vector<size_t>{3}));
  CHECK((data.channels() == 3 && data.has_valence()));
  const Image crop = data.image(1);
  CHECK((crop.width == 6 && crop.height == 5));
  CHECK(crop.pixels[0] == picture(20, 10, 3).pixels[(2 * 20 + 4) * 3]);
}

TEST_CASE("manifest: numbered labels keep their numbers", "[data]") {
  const TempDir dir;
  write_file(dir.path / "a.jpg", small_jpeg(1));
  write_file(dir.path / "l.csv", "path,label\na.jpg,2\na.jpg,0\na.jpg,-1\n");
  const Dataset data = open_dataset((dir.path / "l.csv").string());
  CHECK(data.classes() == std::vector<std::string>{"0", "1", "2"});
  CHECK((data.sample(0).label == 2 && data.sample(1).label == 0 && data.sample(2).label == -1));
}

TEST_CASE("manifest: mistakes are named by line", "[data]") {
  const TempDir dir;
  write_file(dir.path / "a.jpg", small_jpeg(1));
  const fs::path path = dir.path / "list.csv";
  const auto refuse = [&](const std::string& text, const std::string& message) {
    write_file(path, text);
    CHECK_THROWS_WITH(open_dataset(path.string()), contains("list.csv") && contains(message));
  };
  refuse("image,label\na.jpg,x\ngone.jpg,y\n", "list.csv:3: there is no file 'gone.jpg'");
  refuse("image,label\na.jpg,x\na.jpg,3\n", "is a name, but");
  refuse("image,label\na.jpg,\n", "no label");
  refuse("image,label\n,x\n", "no image");
  refuse("image,label\na.jpg,99999\n", "label 99999");
  refuse("image,label\na.jpg,x,y\n", "3 fields, expected 2");
  refuse("image,label,valence,arousal\na.jpg,x,1.5,0\n", "valence must be");
  refuse("image,label,valence,arousal\na.jpg,x,0,nan\n", "arousal must be");
  refuse("image,label,split\na.jpg,x,trian\n", "split must be");
  refuse("image,label,weight\na.jpg,x,-1\n", "weight must be");
  refuse("image,label,x,y,w,h\na.jpg,x,0,0,0,5\n", "x,y,w,h");
  refuse("image,label,x,y\na.jpg,x,0,0\n", "only some of the columns");
  refuse("image,size\na.jpg,1\n", "neither a column 'label'");
  write_file(path, "image,label,x,y,w,h\na.jpg,x,10,10,7,7\na.jpg,y,,,,\n");
  CHECK_THROWS_WITH(open_dataset(path.string()).image(0), contains("list.csv:2") && contains("leaves the image"));
  DatasetOptions skip;
  skip.skip_bad = true;
  write_file(path, "image,label\na.jpg,x\ngone.jpg,y\na.jpg,y\n");
  CHECK(open_dataset(path.string(), skip).size() == 2);
}

TEST_CASE("affectnet layout: annotations of any type, -2 is invalid", "[data]") {
  const TempDir dir;
  const fs::path root = dir.path / "train_set";
  const auto annotate = [&](const std::string& name, const Bytes& bytes) { write_file(root / "annotations" / name, bytes); };
  for (const char* id : {"1", "2", "3"}) write_file(root / "images" / (std::string(id) + ".jpg"), small_jpeg(1));
  annotate("1_exp.npy", npy_of(header_of("<U1", "()"), raw<char32_t>({'7'})));
  annotate("1_val.npy", npy_of(header_of("<U4", "()"), raw<char32_t>({'-', '0', '.', '5'})));
  annotate("1_aro.npy", npy_of(header_of("<f8", "(1,)"), raw<double>({0.25})));
  annotate("2_exp.npy", npy_of(header_of("<i8", "()"), raw<int64_t>({9})));
  annotate("2_val.npy", npy_of(header_of("<f4", "()"), raw<float>({0.5f})));
  annotate("2_aro.npy", npy_of(header_of("<f8", "()"), raw<double>({-2})));
  annotate("3_exp.npy", npy_of(header_of("|u1", "(1,)"), raw<uint8_t>({0})));
  const Dataset data = open_dataset(dir.path.string());
  REQUIRE(data.size() == 3);
  CHECK(data.classes().size() == 8);
  CHECK((data.sample(0).label == 7 && data.sample(0).valence == -0.5f && data.sample(0).arousal == 0.25f));
  CHECK((data.sample(1).label == -1 && data.sample(1).valence == 0.5f && std::isnan(data.sample(1).arousal)));
  CHECK((data.sample(2).label == 0 && std::isnan(data.sample(2).valence)));
  CHECK(data.sample(0).id == "train_set/images/1.jpg");
  CHECK(data.image(0).width == 16);

  // -2 and classes in every type that is read.
  const auto with_exp = [&](const Bytes& bytes) {
    annotate("3_exp.npy", bytes);
    return open_dataset(dir.path.string()).sample(2).label;
  };
  annotate("3_val.npy", npy_of(header_of("|S4", "()"), "0.5\0"s));
  for (const auto& [descr, minus_two] : std::map<std::string, std::string>{{"<i1", raw<int8_t>({-2})}, {"<i2", raw<int16_t>({-2})}, {"<i4", raw<int32_t>({-2})},
        {"<i8", raw<int64_t>({-2})}, {"<f4", raw<float>({-2})}, {"<f8", raw<double>({-2})}, {"<f2", raw<uint16_t>({0xC000})}, {">f4", "\xc0\0\0\0"s},
        {">i4", "\xff\xff\xff\xfe"s}, {"|S2", "-2"}, {"<U2", raw<char32_t>({'-', '2'})}, {">U2", "\0\0\0-\0\0\0002"s}}) {
    INFO(descr);
    CHECK(with_exp(npy_of(header_of(descr, "()"), minus_two)) == -1);
  }
  for (const auto& [descr, five] : std::map<std::string, std::string>{{"|u1", raw<uint8_t>({5})}, {"<u2", raw<uint16_t>({5})}, {"<u4", raw<uint32_t>({5})},
        {"<u8", raw<uint64_t>({5})}, {">u8", "\0\0\0\0\0\0\0\5"s}, {"<f2", raw<uint16_t>({0x4500})}, {"|S1", "5"}}) {
    INFO(descr);
    CHECK(with_exp(npy_of(header_of(descr, "(1,)"), five)) == 5);
  }
  CHECK(with_exp(npy_of(header_of("|b1", "()"), raw<uint8_t>({1}))) == 1);
  CHECK_THROWS_WITH(with_exp(npy_of(header_of("|O", "()"), "xxxxxxxx")), contains("element type 'O'"));
  CHECK_THROWS_WITH(with_exp(npy_of(header_of("<f8", "()"), raw<double>({std::nan("")}))), contains("expression is nan"));
  CHECK_THROWS_WITH(with_exp(npy_of(header_of("<f8", "()"), raw<double>({1e300}))), contains("expected 0..7"));
  CHECK_THROWS_WITH(with_exp(npy_of(header_of("<f8", "()"), raw<double>({2.5}))), contains("expression is 2.5"));
  fs::remove(root / "annotations" / "3_val.npy");

  annotate("3_exp.npy", npy_of(header_of("<i8", "()"), raw<int64_t>({11})));
  CHECK_THROWS_WITH(open_dataset(dir.path.string()), contains("3_exp.npy") && contains("11"));
  annotate("3_exp.npy", npy_of(header_of("<i8", "(2,)"), raw<int64_t>({1, 2})));
  CHECK_THROWS_WITH(open_dataset(dir.path.string()), contains("3_exp.npy") && contains("expected 1"));
  fs::remove(root / "annotations" / "3_exp.npy");
  CHECK_THROWS_WITH(open_dataset(dir.path.string()), contains("3.jpg") && contains("no usable annotation"));
  DatasetOptions skip;
  skip.skip_bad = true;
  CHECK(open_dataset(dir.path.string(), skip).size() == 2);
  CHECK_THAT(open_dataset(dir.path.string(), skip).contents().bad_rows.at(0), contains("3.jpg"));
  // Where nobody shows contempt it is AffectNet of seven classes.
  annotate("1_exp.npy", npy_of(header_of("<i8", "()"), raw<int64_t>({6})));
  CHECK(open_dataset(dir.path.string(), skip).classes() == std::vector<std::string>{"neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"});
}
