// Data sets written: split, balanced, converted.
#include "tools/data/writer.h"

#include <numeric>
#include <set>

#include "tests/data_files.h"
#include "tests/scratch.h"
#include "tools/data/balance.h"
#include "tools/data/inspect.h"
#include "tools/data/split.h"
#include "tools/data/zip_writer.h"
#include "tools/train/altered_image.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

DatasetOptions as_it_is() {
  DatasetOptions options;
  options.complete_split = false;
  return options;
}

// Written by name and read again.
Dataset rewritten(const DatasetContents& data, const fs::path& to, const char* format = "", std::vector<std::string>* notes = nullptr) {
  std::vector<std::string> said = write_dataset(data, to, format_for(format, to));
  if (notes) *notes = std::move(said);
  return open_dataset(to.string(), as_it_is());
}

// All that is to be kept, whatever the order and the names: pixels with class, split, affect and weight.
std::multiset<std::string> rows(const Dataset& d, bool affect = true) {
  std::multiset<std::string> all;
  for (size_t i = 0; i < d.size(); ++i) {
    const Sample& s = d.sample(i);
    const Image image = d.image(i);
    all.insert(fmt::format("{} {} {} {} {} {}x{}x{} {}", s.label < 0 ? "-" : d.classes()[size_t(s.label)], split_name(s.split), affect ? s.valence : 0, affect ? s.arousal : 0,
                           affect ? s.weight : 1, image.height, image.width, image.channels, fmt::join(image.pixels, ",")));
  }
  return all;
}

bool said(const std::vector<std::string>& notes, std::string_view what) {
  return std::ranges::any_of(notes, [&](const std::string& note) { return note.find(what) != note.npos; });
}

// Everything a manifest can say: colour and gray, JPEG and PNG, boxes, an image listed twice, an unlabelled one, commas in names.
fs::path rich_manifest(const fs::path& root) {
  write_file(root / "img/a.jpg", jpeg_of(picture(20, 10, 3, 1)));
  write_file(root / "img/b.png", png_of(picture(12, 12, 1, 2)));
  write_file(root / "img/c,d.png", png_of(picture(9, 9, 3, 3)));
  write_file(root / "list.csv",
             "image,label,valence,arousal,split,weight,x,y,w,h\n"
             "img/a.jpg,happy,0.25,-0.5,train,2,,,,\n"
             "img/a.jpg,\"sad, very\",,,train,,1,2,5,6\n"
             "img/b.png,\"sad, very\",-1,1,val,0.125,,,,\n"
             "\"img/c,d.png\",,0.5,0.5,test,,,,,\n"
             "img/b.png,happy,,,train,,,,,\n");
  return root / "list.csv";
}

// 8x8 gray pictures of `counts[c]` images of class c, all for training.
DatasetContents gray(const std::vector<int>& counts, std::vector<std::string> classes = {"angry", "happy", "sad"}) {
  DatasetContents data{.source = "gray", .classes = std::move(classes)};
  for (size_t c = 0; c < counts.size(); ++c)
    for (int i = 0; i < counts[c]; ++i) data.samples.push_back({.id = fmt::format("{}/{}.png", data.classes[c], i), .label = int(c), .split = Split::train, .entry = data.samples.size()});
  data.decode = [](const Sample& s) { return picture(8, 8, 1, uint32_t(s.entry + 1)); };
  data.native_size = 8, data.channels = 1;
  return data;
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(folder).generic_string());
  std::ranges::sort(names);
  return names;
}

}  // namespace

TEST_CASE("convert: a manifest keeps all there is to know", "[data]") {
  const TempDir dir;
  const Dataset data = open_dataset(rich_manifest(dir.path).string(), as_it_is());
  REQUIRE(data.size() == 5);
  std::vector<std::string> notes;
  CHECK(rows(rewritten(data.contents(), dir.path / "copy", "manifest", &notes)) == rows(data));
  CHECK(notes.empty());
  // JPEG files are copied, parts of pictures become PNG.
  const std::vector<std::string> files = files_in(dir.path / "copy");
  CHECK(files == std::vector<std::string>{"images/test/c,d.png", "images/train/a.jpg", "images/train/a.png", "images/train/b.png", "images/val/b.png", "manifest.csv"});
  CHECK(file_bytes(dir.path / "copy/images/train/a.jpg") == file_bytes(dir.path / "img/a.jpg"));
  // A csv alone refers to the pictures where they are, from elsewhere too.
  CHECK(rows(rewritten(data.contents(), dir.path / "list2.csv")) == rows(data));
  CHECK(files_in(dir.path).size() == 11);
  fs::create_directories(dir.path / "deep/er");
  CHECK(rows(rewritten(data.contents(), dir.path / "deep/er/list.csv")) == rows(data));
}

TEST_CASE("convert: folders, zip and FER csv and back, pixel by pixel", "[data]") {
  const TempDir dir;
  write_classes(dir.path / "in/train", {"angry", "happy"}, 3);
  write_classes(dir.path / "in/val", {"angry", "happy"}, 1);
  write_classes(dir.path / "in/test", {"angry", "happy"}, 2);
  const Dataset data = open_dataset((dir.path / "in").string(), as_it_is());
  SECTION("JPEG files stay as they are") {
    const Dataset folders = rewritten(data.contents(), dir.path / "out");
    CHECK(files_in(dir.path / "out") == files_in(dir.path / "in"));
    for (const std::string& name : files_in(dir.path / "in")) CHECK(file_bytes(dir.path / "out" / name) == file_bytes(dir.path / "in" / name));
    const Dataset zip = rewritten(folders.contents(), dir.path / "out.zip"), unpacked = rewritten(zip.contents(), dir.path / "unpacked");
    CHECK(rows(zip) == rows(data));
    for (const std::string& name : files_in(dir.path / "in")) CHECK(file_bytes(dir.path / "unpacked" / name) == file_bytes(dir.path / "in" / name));
    rewritten(folders.contents(), dir.path / "again.zip");
    CHECK(file_bytes(dir.path / "again.zip") == file_bytes(dir.path / "out.zip"));
  }
  SECTION("through a FER csv") {
    std::vector<std::string> notes;
    const Dataset csv = rewritten(data.contents(), dir.path / "fer.csv", "fer-csv", &notes);
    CHECK(csv.classes().size() == 7);
    CHECK(said(notes, "val is called PublicTest"));
    CHECK(said(notes, "names of files"));
    CHECK(said(notes, "numbered as this format reads them: angry, disgust"));
    CHECK(csv.split("PublicTest").size() == 2);
    CHECK(csv.split("PrivateTest").size() == 4);
    notes.clear();
    const Dataset back = rewritten(csv.contents(), dir.path / "back", "folders", &notes);
    CHECK(rows(back) == rows(csv));
    CHECK(said(notes, "class 'disgust' has no image"));
    CHECK(said(notes, "numbered as this format reads them: angry, happy, not"));
    CHECK(back.sample(0).id == "test/angry/PrivateTest_row_0.png");
  }
  SECTION("data without splits stays so") {
    write_classes(dir.path / "plain", {"angry", "happy"}, 4);
    const Dataset plain = open_dataset((dir.path / "plain").string(), as_it_is());
    for (const char* to : {"plain.zip", "plain2", "plain.csv"}) {
      const Dataset copy = rewritten(plain.contents(), dir.path / to);
      CHECK(rows(copy) == rows(plain));
      CHECK(copy.split("train").empty());
    }
    CHECK(rows(rewritten(plain.contents(), dir.path / "fer.csv", "fer-csv"), false) == rows(plain, false));
    CHECK(first(file_bytes(dir.path / "fer.csv"), 15) == to_bytes("emotion,pixels\n"));
  }
  SECTION("unlabelled pictures are a FER csv without emotions") {
    DatasetContents unlabelled = data.contents();
    for (Sample& s : unlabelled.samples) s.label = -1;
    std::vector<std::string> notes;
    const Dataset csv = rewritten(unlabelled, dir.path / "test.csv", "fer-csv", &notes);
    CHECK(csv.split("test").size() == 12);
    CHECK_FALSE(csv.has_labels());
    CHECK(said(notes, "all test images"));
  }
}

TEST_CASE("convert: what a format cannot hold is an error or a line", "[data]") {
  const TempDir dir;
  const Dataset rich = open_dataset(rich_manifest(dir.path).string(), as_it_is());
  const auto refused = [&](const DatasetContents& data, const char* to, const char* format, const char* message) {
    CHECK_THROWS_WITH(write_dataset(data, dir.path / to, format_for(format, dir.path / to)), contains(message));
    CHECK_FALSE(fs::exists(dir.path / to));
  };
  refused(rich.contents(), "out", "", "1 images have no class");
  refused(rich.contents(), "out.csv", "fer-csv", "class 'sad, very' is none of FER2013's");
  DatasetContents labelled = rich.contents();
  std::erase_if(labelled.samples, [](const Sample& s) { return s.label < 0; });
  std::vector<std::string> notes;
  rewritten(labelled, dir.path / "labelled", "", &notes);
  CHECK(said(notes, "valence and arousal of 2 images are lost"));
  CHECK(said(notes, "weights of 2 images are lost"));

  DatasetContents data = gray({2, 2, 2});
  data.decode = [](const Sample& s) { return s.entry == 3 ? picture(8, 8, 3) : picture(8, 8, 1); };
  refused(data, "out.csv", "fer-csv", "'happy/1.png' is in colour");
  data.decode = [](const Sample& s) { return s.entry == 3 ? picture(9, 9, 1) : picture(8, 8, 1); };
  refused(data, "out.csv", "fer-csv", "is 8 pixels wide and 'happy/1.png' 9");
  data.decode = [](const Sample&) { return picture(8, 9, 1); };
  refused(data, "out.csv", "fer-csv", "expected a square");
  refused(data, "out.csv", "manifest", "is no file that a csv could refer to");
  refused(gray({6}, {"happy"}), "out", "", "of one class only");
  refused(gray({2, 2}, {"a/b", "c"}), "out", "", "class 'a/b' cannot be a folder's name");
  refused(gray({2, 2}, {".hidden", "c"}), "out.zip", "", "cannot be a folder's name");
  refused(gray({2, 2}, {"1", "c"}), "out", "manifest", "class '1' is a number and class 'c' is none");
  refused(gray({2, 2}, {" c", "d"}), "out", "manifest", "cannot stand in a csv");
  data = gray({2, 2, 2});
  data.samples[4].split = data.samples[5].split = Split::val;
  refused(data, "out", "", "class 'sad' has no training image");
  CHECK_THROWS_WITH(format_for("tfrecord", "x"), contains("folders, zip, fer-csv, manifest"));

  // Numbers for names: a manifest reads their values, which the line tells.
  rewritten(gray({2, 2}, {"2", "1"}), dir.path / "numbers", "manifest", &notes);
  CHECK(said(notes, "numbered as this format reads them: 0, 1, 2, not 2, 1"));
}

TEST_CASE("convert: unreadable pictures stop it by name, or are left out and counted", "[data]") {
  const TempDir dir;
  write_classes(dir.path / "in", {"a", "b"}, 3);
  write_file(dir.path / "in/a/bad.jpg", first(small_jpeg(5), 200));
  const Dataset data = open_dataset((dir.path / "in").string(), as_it_is());
  for (const char* to : {"out", "out.zip"}) {
    CHECK_THROWS_WITH(write_dataset(data.contents(), dir.path / to, format_for("", to)), contains("bad.jpg"));
    CHECK(files_in(dir.path).size() == 7);  // nothing half done
    const std::vector<std::string> notes = write_dataset(data.contents(), dir.path / to, format_for("", to), {.skip_bad = true, .progress = {}});
    CHECK(said(notes, "1 unreadable images left out"));
    CHECK(open_dataset((dir.path / to).string()).size() == 6);
    fs::remove_all(dir.path / to);
  }
}

TEST_CASE("writing: FER2013's names keep the official split, and never bring it back", "[data]") {
  const TempDir dir;
  write_classes(dir.path / "in/train", {"a", "b"}, 6, "Training_");
  write_classes(dir.path / "in/test", {"a", "b"}, 2, "PublicTest_");
  write_classes(dir.path / "in/test", {"a", "b"}, 2, "PrivateTest_");
  const Dataset data = open_dataset((dir.path / "in").string(), as_it_is());
  REQUIRE(data.official_split());
  CHECK(rows(rewritten(data.contents(), dir.path / "same")) == rows(data));
  CHECK(files_in(dir.path / "same") == files_in(dir.path / "in"));
  DatasetContents anew = data.contents();
  stratify(anew.samples, {12, 4, 4}, 3);
  const Dataset split = rewritten(anew, dir.path / "anew");
  CHECK(split.split("train").size() == 12);
  CHECK(split.split("val").size() == 4);
  CHECK(split.split("test").size() == 4);
  CHECK_FALSE(split.official_split());
  CHECK(files_in(dir.path / "anew").size() == 20);  // Training_000 and PublicTest_000 of one class are two files still
}

TEST_CASE("split: exact sizes, every class near its share, by seed and id alone", "[data]") {
  DatasetContents data = gray({501, 77, 3422, 1}, {"a", "b", "c", "d"});
  const SplitSizes sizes{2559, 640, 800};
  stratify(data.samples, sizes, 7);
  std::map<std::pair<int, Split>, double> counts;
  for (const Sample& s : data.samples) ++counts[{s.label, s.split}];
  for (const auto& [split, total] : std::map<Split, size_t>{{Split::train, 2559}, {Split::val, 640}, {Split::test, 800}, {Split::unassigned, 2}}) {
    double sum = 0;
    for (int c = 0; c < 4; ++c) {
      const double n = counts[{c, split}], share = double(total) * (c == 0 ? 501 : c == 1 ? 77 : c == 2 ? 3422 : 1) / 4001;
      CHECK(std::abs(n - share) < 2);
      sum += n;
    }
    CHECK(sum == double(total));
  }
  CHECK(counts[{3, Split::train}] == 1);  // the only one of its class
  DatasetContents again = data, other = data;
  std::ranges::reverse(again.samples);
  stratify(again.samples, sizes, 7);
  std::ranges::reverse(again.samples);
  stratify(other.samples, sizes, 8);
  size_t moved = 0;
  for (size_t i = 0; i < data.samples.size(); ++i) {
    CHECK(again.samples[i].split == data.samples[i].split);
    moved += other.samples[i].split != data.samples[i].split;
  }
  CHECK(moved > 1000);
  stratify(data.samples, {100, 0, 20}, 7);  // the rare ones are in a small split, too
  for (const int c : {0, 1, 2, 3}) CHECK(std::ranges::any_of(data.samples, [&](const Sample& s) { return s.label == c && s.split == Split::train; }));
  CHECK(std::ranges::count(data.samples, Split::train, &Sample::split) == 100);
  CHECK_THROWS_WITH(stratify(data.samples, {4000, 1, 1}, 1), contains("there are 4001"));
  DatasetContents two = gray({1, 1, 1});
  CHECK_THROWS_WITH(stratify(two.samples, {1, 1, 1}, 1), contains("more than there are"));
}

TEST_CASE("balance: how many of each class", "[data]") {
  const std::vector<size_t> fer{3995, 436, 4097, 7215, 4965, 4830, 3171};
  const auto sum = [](const std::vector<size_t>& n) { return std::accumulate(n.begin(), n.end(), size_t{0}); };
  CHECK(balanced_counts(fer, {.per_class = 4500}) == std::vector<size_t>{4500, 4500, 4500, 7215, 4965, 4830, 4500});
  CHECK(balanced_counts(fer, {.per_class = 4500, .cut = true}) == std::vector<size_t>(7, 4500));
  CHECK(balanced_counts(fer, {.total = 33595}) == std::vector<size_t>{4147, 4146, 4146, 7215, 4965, 4830, 4146});
  CHECK(balanced_counts(fer, {.total = 33595, .cut = true}) == std::vector<size_t>{4800, 4800, 4799, 4799, 4799, 4799, 4799});
  for (size_t total = sum(fer); total < 60'000; total += 617) {
    const std::vector<size_t> n = balanced_counts(fer, {.total = total});
    INFO("total " << total << ": " << fmt::format("{}", fmt::join(n, " ")));
    CHECK(sum(n) == total);
    size_t lowest = *std::ranges::min_element(n), spread = 0;
    for (size_t c = 0; c < n.size(); ++c) {
      CHECK(n[c] >= fer[c]);
      if (n[c] > fer[c]) spread = std::max(spread, n[c] - lowest);
    }
    CHECK(spread <= 1);
  }
  CHECK_THROWS_WITH(balanced_counts(fer, {.total = 28708}), contains("below the 28709"));
}

TEST_CASE("balance: copies in turn, altered by seed; what was there stays", "[data]") {
  DatasetContents data = gray({3, 10, 5});
  data.samples.push_back({.id = "held.png", .label = 0, .split = Split::val, .entry = 99});
  const AlterSettings settings{.warp = {.rotate = 10}, .seed = 4};
  const Alter alter = [&](const Image& image, uint32_t version, uint32_t key) { return altered(image, settings, version, key); };
  const DatasetContents full = balanced(data, {.per_class = 8, .seed = 4}, alter), cut = balanced(data, {.per_class = 8, .cut = true, .seed = 4}, alter);
  std::map<std::string, int> copies;
  std::vector<size_t> counts(3), cut_counts(3);
  for (const Sample& s : full.samples) {
    if (s.split == Split::train) ++counts[size_t(s.label)];
    const size_t mark = s.id.find('~');
    if (s.label == 0 && mark != s.id.npos) ++copies[s.id.substr(0, mark)];
    const Image image = full.decode(s);
    CHECK(image.pixels == full.decode(s).pixels);
    if (mark == s.id.npos) CHECK(image.pixels == picture(8, 8, 1, s.id == "held.png" ? 100 : uint32_t(std::ranges::find(data.samples, s.id, &Sample::id) - data.samples.begin()) + 1).pixels);
  }
  for (const Sample& s : cut.samples)
    if (s.split == Split::train) ++cut_counts[size_t(s.label)];
  CHECK(counts == std::vector<size_t>{8, 10, 8});
  CHECK(cut_counts == std::vector<size_t>{8, 8, 8});
  CHECK(full.samples.back().id == "held.png");
  CHECK(std::ranges::count_if(full.samples, [](const Sample& s) { return s.id.starts_with("angry/") && s.id.ends_with("~1"); }) == 3);
  REQUIRE(copies.size() == 3);  // 5 copies of 3 pictures: 2, 2 and 1
  CHECK(std::ranges::all_of(copies, [](const auto& c) { return c.second == 1 || c.second == 2; }));
  // Written and read again; another seed gives other pictures.
  const TempDir dir;
  const Dataset a = rewritten(full, dir.path / "a.zip"), b = rewritten(balanced(data, {.per_class = 8, .seed = 4}, alter), dir.path / "b.zip");
  CHECK(a.size() == 27);
  CHECK(std::ranges::count_if(a.contents().samples, [](const Sample& s) { return s.id.starts_with("train/angry/") && s.id.ends_with("~1.png"); }) == 3);
  CHECK(file_bytes(dir.path / "a.zip") == file_bytes(dir.path / "b.zip"));
  AlterSettings later = settings;
  later.seed = 5;
  const Dataset c = rewritten(balanced(data, {.per_class = 8, .seed = 5}, [&](const Image& i, uint32_t v, uint32_t k) { return altered(i, later, v, k); }), dir.path / "c.zip");
  CHECK(rows(c) != rows(a));
  data.samples.erase(data.samples.begin(), data.samples.begin() + 3);
  CHECK_THROWS_WITH(balanced(data, {.per_class = 8}, alter), contains("class 'angry' has no training image"));
}

TEST_CASE("balance: a second data set joins train", "[data]") {
  const TempDir dir;
  write_classes(dir.path / "more", {"happy", "sad"}, 2);
  const Dataset more = open_dataset((dir.path / "more").string(), as_it_is());
  const DatasetContents both = with_added(gray({2, 1, 1}), more.contents(), {1, 2});
  REQUIRE(both.samples.size() == 8);
  CHECK(both.samples[4].id == "added/happy/000.jpg");
  CHECK(both.samples[4].label == 1);
  CHECK(both.samples[4].split == Split::train);
  CHECK(both.decode(both.samples[4]).pixels == more.image(0).pixels);
  CHECK(both.decode(both.samples[0]).pixels == picture(8, 8, 1, 1).pixels);
  CHECK(original_bytes(both, both.samples[4]) == file_bytes(dir.path / "more/happy/000.jpg"));
  CHECK(original_bytes(both, both.samples[0]).empty());
  const Alter same = [](const Image& image, uint32_t, uint32_t) { return image; };
  const Dataset written = rewritten(balanced(both, {.per_class = 4}, same), dir.path / "out");
  CHECK(written.class_counts("train") == std::vector<size_t>{4, 4, 4});
}

TEST_CASE("altered pictures: as the device alters them, about the middle of any picture", "[data]") {
  const Image square = picture(12, 12, 3);
  CHECK(altered(square, {.flip = false}, 1, 2).pixels == square.pixels);
  CHECK(altered(square, {.warp = {.rotate = 20}}, 1, 2).pixels != altered(square, {.warp = {.rotate = 20}}, 2, 2).pixels);
  const Image one{1, 3, 1, {1, 2, 3}};
  CHECK(moved(one, {.flip = true}).pixels == std::vector<uint8_t>{3, 2, 1});
  CHECK(moved(one, {.dx = 1}).pixels == std::vector<uint8_t>{0, 1, 2});
  CHECK(moved(one, {.dy = 1}).pixels == std::vector<uint8_t>{0, 0, 0});
  CHECK(moved(one, {.dx = 1}, Border::edge).pixels == std::vector<uint8_t>{1, 1, 2});
  CHECK(moved(one, {.flip = true, .dx = -1, .dy = 2}, Border::edge).pixels == std::vector<uint8_t>{3, 3, 2});
  // Slid: by a twentieth of 40, so by two at most, and by everything up to that.
  const Image grid = picture(40, 40, 1);
  std::set<std::pair<int, int>> slides;
  for (uint32_t version = 1; version <= 300; ++version) {
    const Image slid = altered(grid, {.flip = false, .slide = 0.05}, version, 7);
    int found = 0;
    for (int dy = -3; dy <= 3; ++dy)
      for (int dx = -3; dx <= 3; ++dx)
        if (moved(grid, {false, dx, dy}, Border::edge).pixels == slid.pixels) ++found, slides.insert({dx, dy});
    REQUIRE(found == 1);
  }
  CHECK(slides.size() == 25);
  CHECK(slides.begin()->first == -2);
  // A bright middle stays where it is however a wide picture turns and grows.
  Image wide{9, 31, 1, std::vector<uint8_t>(9 * 31)};
  for (int y = 2; y < 7; ++y)
    for (int x = 13; x < 18; ++x) wide.pixels[size_t(y * 31 + x)] = 200;
  for (uint32_t version = 0; version < 20; ++version) {
    const Image turned = altered(wide, {.warp = {.rotate = 180, .zoom = 0.3}, .seed = 9}, version, 3);
    CHECK(turned.pixels[4 * 31 + 15] == 200);
    CHECK(turned.pixels[0] == 0);
  }
}

TEST_CASE("zip writer: what libzip reads, beyond 65,535 members too", "[data]") {
  const TempDir dir;
  constexpr int kMembers = 70'000;
  {
    ZipWriter zip(dir.path / "many.zip");
    for (int i = 0; i < kMembers; ++i) zip.add(fmt::format("train/a/{}.png", i), to_bytes(std::to_string(i)));
    zip.finish();
  }
  int code = 0;
  zip_t* zip = zip_open((dir.path / "many.zip").c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code);
  REQUIRE(zip);
  CHECK(zip_get_num_entries(zip, 0) == kMembers);
  for (const int i : {0, 1, 65'535, kMembers - 1}) {
    CHECK(zip_get_name(zip, zip_uint64_t(i), 0) == fmt::format("train/a/{}.png", i));
    std::string text(8, '\0');
    zip_file_t* file = zip_fopen_index(zip, zip_uint64_t(i), 0);
    text.resize(size_t(zip_fread(file, text.data(), text.size())));
    zip_fclose(file);
    CHECK(text == std::to_string(i));
  }
  zip_discard(zip);
}

TEST_CASE("writing: all or nothing, on a full disk and where it may not write", "[data]") {
  const TempDir dir;
  const DatasetContents data = gray({20, 20, 20});
  const auto refused = [&](const fs::path& to, const char* format, const char* message) {
    INFO(to);
    CHECK_THROWS_WITH(write_dataset(data, to, format_for(format, to)), contains(message));
  };
  for (const char* format : {"folders", "zip", "fer-csv", "manifest"}) {
    const FullDisk full(100);
    refused(dir.path / "out", format, "File too large. Fix: check the folder, its permissions and the free space");
    CHECK(fs::is_empty(dir.path));
  }
  refused("/proc/vkfer", "folders", "cannot make the folder");
  refused("/proc/vkfer", "zip", "/proc/vkfer");
  refused(dir.path / "no/out", "", "Fix: mkdir -p");
  write_file(dir.path / "file", "x");
  refused(dir.path / "file", "", "exists and is not empty");
  fs::create_directories(dir.path / "kept/inside");
  refused(dir.path / "kept", "", "exists and is not empty");
  refused(dir.path / "..", "", "names no file or folder of its own");
  // What is asked to stop leaves nothing behind, too.
  const WriteOptions stopped{.skip_bad = false, .progress = [](size_t done, size_t) { if (done == 10) fail("data", "interrupted"); }};
  CHECK_THROWS_WITH(write_dataset(data, dir.path / "out", format_for("", "out"), stopped), contains("interrupted"));
  CHECK_FALSE(fs::exists(dir.path / "out"));
  fs::remove_all(dir.path / "kept"), fs::remove(dir.path / "file");
  CHECK(fs::is_empty(dir.path));
  fs::create_directory(dir.path / "empty");
  CHECK(rewritten(data, dir.path / "empty/").size() == 60);
  fs::create_directory(dir.path / "empty2");
  CHECK(rewritten(data, dir.path / "empty2", "zip").size() == 60);
}
