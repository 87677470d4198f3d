// `vkfer infer`: which pictures are meant, what becomes of broken ones, and every form of answer.
#include <nlohmann/json.hpp>

#include <set>
#include <sys/stat.h>

#include "tests/data_files.h"
#include "tests/workplace.h"
#include "tools/data/csv.h"
#include "tools/predict/annotate.h"
#include "tools/predict/answers.h"
#include "tools/predict/imagenet.h"
#include "tools/predict/picture_list.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

std::vector<std::string> names_of(const std::vector<ListedPicture>& pictures, const fs::path& root) {
  std::vector<std::string> names;
  for (const ListedPicture& p : pictures) names.push_back(p.problem.empty() ? fs::path(p.name).lexically_normal().lexically_relative(root).string() : "! " + p.problem);
  return names;
}

std::vector<std::string> listed(const fs::path& root, std::vector<std::string> arguments) {
  for (std::string& a : arguments) a = (root / a).string();
  return names_of(list_pictures(arguments), root);
}

void trained_run(const Workplace& place) {
  draw_faces(place.path / "faces", 16, true);
  const Ran train = place.run("train --model compact_resnet --data faces --size 16 --batch 4 --epochs 1 --run a");
  INFO(train.err);
  REQUIRE(train.status == 0);
}

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

// One of each kind of file that is none or that is damaged, by name.
std::set<std::string> write_odd_files(const fs::path& folder) {
  const Bytes jpeg = jpeg_of(picture(40, 30, 3)), png = png_of(picture(40, 30, 3));
  write_file(folder / "cut.jpg", first(jpeg, jpeg.size() / 2));
  write_file(folder / "cut.png", first(png, png.size() - 20));
  write_file(folder / "header.jpg", std::string("\xFF\xD8\xFF\xE1\x40\0Exif\0\0", 12) + std::string(200, 'x'));
  write_file(folder / "empty.png", Bytes{});
  write_file(folder / "text.jpg", "not a picture");
  write_file(folder / "photo.webp.jpg", std::string("RIFF\x10\0\0\0WEBPVP8 ", 16));
  write_file(folder / "phone.heic.jpg", std::string("\0\0\0\x18" "ftypheic", 12));
  write_file(folder / "bomb.png", png_of(2000000000, 2000000000, 8, 2, std::vector<uint8_t>(100)));
  Bytes flipped = png;
  flipped[flipped.size() / 2] ^= std::byte{0x55};
  write_file(folder / "flipped.png", flipped);
  ::mkfifo((folder / "pipe.jpg").c_str(), 0600);   // reading it would wait for ever
  fs::create_symlink("/dev/zero", folder / "zero.png");
  fs::create_symlink("nowhere", folder / "dangling.png");
  return {"cut.jpg", "cut.png", "header.jpg", "empty.png", "text.jpg", "photo.webp.jpg", "phone.heic.jpg", "bomb.png", "flipped.png", "pipe.jpg", "zero.png",
          "dangling.png"};
}

// Pictures of all kinds that can be read.
std::set<std::string> write_good_files(const fs::path& folder) {
  write_file(folder / "gray.jpg", jpeg_of(picture(40, 30, 1)));
  write_file(folder / "colour.JPEG", jpeg_of(picture(40, 30, 3)));
  write_file(folder / "progressive.jpg", jpeg_of(picture(40, 30, 3), TJSAMP_420, TJFLAG_PROGRESSIVE));
  write_file(folder / "cmyk.jpg", jpeg_of(picture(40, 30, 4)));
  write_file(folder / "rgba.png", png_of(2, 1, 8, 6, std::vector<uint8_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  write_file(folder / "sixteen.png", png_of(1, 2, 16, 0, std::vector<uint8_t>{0, 1, 2, 0, 3, 4}));
  write_file(folder / "palette.png", png_of(3, 1, 8, 3, std::vector<uint8_t>{0, 0, 1, 0}, {{"PLTE", {1, 2, 3, 4, 5, 6}}}));
  write_file(folder / "one.png", png_of(picture(1, 1, 1)));
  write_file(folder / "line.png", png_of(picture(1, 3000, 1)));
  write_file(folder / "row.png", png_of(picture(3000, 1, 3)));
  write_file(folder / "deep" / "er" / "x.jpg.png", png_of(picture(20, 20, 3)));
  write_file(folder / "a \"quoted\", name\n\x1b[31m.png", png_of(picture(20, 20, 1)));
  write_file(folder / "\xff\xfe.png", png_of(picture(20, 20, 1)));
  write_file(folder / "gesicht \xc3\xa4\xe7\xac\x91.png", png_of(picture(20, 20, 1)));
  return {"gray.jpg", "colour.JPEG", "progressive.jpg", "cmyk.jpg", "rgba.png", "sixteen.png", "palette.png", "one.png", "line.png", "row.png", "deep/er/x.jpg.png",
          "a \"quoted\", name\n\x1b[31m.png", "\xff\xfe.png", "gesicht \xc3\xa4\xe7\xac\x91.png"};
}

}  // namespace

TEST_CASE("infer: folders, patterns and names become a list", "[infer]") {
  TempDir dir;
  for (const char* name : {"b.jpg", "a.PNG", "z.txt", ".hidden.jpg", "sub/c.gif", "sub/folder.jpg/d.bmp", ".cache/e.jpg", "[1].jpg"})
    write_file(dir.path / name, "x");
  fs::create_directory(dir.path / "none");
  fs::create_directory_symlink(dir.path, dir.path / "sub" / "loop");
  CHECK(listed(dir.path, {"."}) == std::vector<std::string>{"[1].jpg", "a.PNG", "b.jpg", "sub/c.gif", "sub/folder.jpg/d.bmp"});
  CHECK(listed(dir.path, {"sub", "b.jpg", "z.txt"}) ==   // what is named is tried, whatever it is called
        std::vector<std::string>{"sub/c.gif", "sub/folder.jpg/d.bmp", "b.jpg", "z.txt"});
  CHECK(listed(dir.path, {"*.jpg"}) == std::vector<std::string>{"[1].jpg", "b.jpg"});
  CHECK(listed(dir.path, {"[1].jpg"}) == std::vector<std::string>{"[1].jpg"});   // a file's own name is no pattern
  CHECK(listed(dir.path, {"?.jpg", "su*"}) == std::vector<std::string>{"b.jpg", "sub/c.gif", "sub/folder.jpg/d.bmp"});
  CHECK_THAT(listed(dir.path, {"*.tga"}).at(0), contains("nothing matches"));
  CHECK_THAT(listed(dir.path, {"c.jpg"}).at(0), contains("does not exist"));
  CHECK_THAT(listed(dir.path, {"none"}).at(0), contains("holds no picture"));
  CHECK(list_pictures(std::vector<std::string>{"-"}).at(0).name == "-");
  CHECK_THAT(list_pictures(std::vector<std::string>{""}).at(0).problem, contains("does not exist"));
  CHECK_THROWS_WITH(list_pictures(std::vector<std::string>{"-", "-"}), contains("stands twice"));
  const std::string long_name(100000, 'n');
  CHECK(list_pictures(std::vector<std::string>{long_name}).at(0).problem.size() > 100000);

  write_file(dir.path / "names", "b.jpg\r\n\n*.jpg\n sub \n");
  CHECK(read_name_list((dir.path / "names").string()) == std::vector<std::string>{"b.jpg", "*.jpg", " sub "});
  CHECK_THAT(list_named(std::vector<std::string>{"*.jpg"}).at(0).problem, contains("'*.jpg' does not exist"));
  write_file(dir.path / "names", std::string("a\0b\n", 4));
  CHECK_THROWS_WITH(read_name_list((dir.path / "names").string()), contains("names:1: got binary data"));
  write_file(dir.path / "names", std::string(5000, 'x'));
  CHECK_THROWS_WITH(read_name_list((dir.path / "names").string()), contains("more than 4096"));
  CHECK_THROWS_WITH(read_name_list((dir.path / "none").string()), contains("is a folder"));
  CHECK_THROWS_WITH(read_name_list((dir.path / "nowhere").string()), contains("cannot be opened"));
  CHECK(shown_name("a\n\x1b[31mb") == "a??[31mb");
}

TEST_CASE("infer: answers as JSON and CSV", "[infer]") {
  const std::vector<std::string> classes{"sad", "a,b"};
  PictureAnswer whole{.name = "x,y.png", .width = 4, .height = 3, .faces = {{.said = {.probabilities = {0.25f, 0.75f}}}}};
  CHECK(answer_json(whole, classes).dump() ==
        R"({"image":"x,y.png","width":4,"height":3,"prediction":"a,b","probability":0.75,"probabilities":{"sad":0.25,"a,b":0.75}})");
  CHECK(answer_json(whole, classes, 1)["probabilities"].dump() == R"({"a,b":0.75})");
  CHECK(answer_json(whole, classes, 9)["probabilities"].dump() == R"({"a,b":0.75,"sad":0.25})");
  CHECK(csv_header(classes, false) == "image,face,x,y,width,height,score,prediction,probability,sad,\"a,b\"\n");
  CHECK(csv_rows(whole, classes, false) == "\"x,y.png\",1,0,0,4,3,,\"a,b\",0.750000,0.250000,0.750000\n");

  PictureAnswer found{.name = "f", .width = 9, .height = 9, .searched = true};
  CHECK(answer_json(found, classes).dump() == R"({"image":"f","width":9,"height":9,"faces":[]})");
  CHECK(csv_rows(found, classes, false) == "f,0,,,,,,,,,\n");
  found.faces.push_back({Face{1, -2, 3, 3, 0.5}, {{0.5f, 0.5f}, 0.1f, -0.2f}});
  const Json face = answer_json(found, classes)["faces"][0];
  CHECK((face["x"] == 1 && face["y"] == -2 && face["width"] == 3 && face["score"] == 0.5 && face["prediction"] == "sad"));
  CHECK(face["arousal"].get<double>() == Approx(-0.2));
  CHECK(csv_rows(found, classes, true) == "f,1,1,-2,3,3,0.500,sad,0.500000,0.500000,0.500000,0.1000,-0.2000\n");
  CHECK(csv_header({}, true) == "image,face,x,y,width,height,score,valence,arousal\n");
  CHECK(csv_rows({.name = "n", .searched = true}, {}, true) == "n,0,,,,,,,\n");

  const PictureAnswer broken{.name = "b", .problem = "why"};
  CHECK(answer_json(broken, classes).dump() == R"({"image":"b","error":"why"})");
  CHECK(csv_rows(broken, classes, false).empty());
}

TEST_CASE("infer: broken pictures are told of, and all the others are done", "[infer][cli]") {
  Workplace place;
  trained_run(place);
  const std::set<std::string> bad = write_odd_files(place.path / "p"), good = write_good_files(place.path / "p");
  const Ran ran = place.run("infer p missing.png 'q/*.png' --run a --jsonl o.jsonl --csv o.csv --json o.json --annotate ann");
  INFO(ran.out << ran.err);
  CHECK(ran.status == 1);
  CHECK_THAT(ran.err, contains(fmt::format("{} of {} pictures could not be read", bad.size() + 2, bad.size() + good.size() + 2)));
  for (const char* reason : {"missing.png", "q/*.png", "WebP", "HEIC", "is empty", "2000000000x2000000000", "not a regular file",
                             "before the picture begins"})
    CHECK_THAT(ran.err, contains(reason));
  CHECK_THAT(ran.err + ran.out, !contains("\x1b[31m") && !contains("--skip-bad"));

  std::set<std::string> failed, done;
  const std::vector<Json> lines = lines_of(text_of(place.path / "o.jsonl"));
  for (const Json& line : lines) (line.contains("error") ? failed : done).insert(line.at("image").get<std::string>());
  CHECK(failed.size() == bad.size() + 2);
  CHECK(done.size() == good.size());
  for (const std::string& name : bad) CHECK(failed.contains("p/" + name));
  CHECK(Json::parse(text_of(place.path / "o.json")).at("images").size() == lines.size());
  for (const std::string& name : good) CHECK(fs::exists(place.path / "ann" / name));
  const std::string csv = text_of(place.path / "o.csv");
  CHECK_THAT(csv, contains("image,face,x,y,width,height,score,prediction,probability,a,b,c\n"));
  CHECK_THAT(csv, contains("\"p/a \"\"quoted\"\", name\n\x1b[31m.png\",1,0,0,20,20,,"));
  for (const Json& line : lines)
    if (line.contains("prediction")) CHECK(line.at("probabilities").size() == 3);

  SECTION("none can be read") {
    CHECK(place.run("infer p/cut.jpg --run a").status == 2);
    CHECK(place.run("infer p/cut.jpg p/pipe.jpg --run a --csv none.csv").status == 2);
    CHECK_THAT(text_of(place.path / "none.csv"), contains("image,face"));   // the header: they were tried
    const Ran none = place.run("infer missing.png --run a --csv missing.csv");
    CHECK(none.status == 2);
    CHECK_FALSE(fs::exists(place.path / "missing.csv"));
  }
  SECTION("the same pictures in any company get the same answer") {
    const Json alone = Json::parse(place.run("infer p/gray.jpg --run a --json").out)["images"][0];
    const double p = alone["probabilities"]["a"].get<double>();
    for (const Json& line : lines)
      if (line["image"] == "p/gray.jpg") CHECK(line["probabilities"]["a"].get<double>() == Approx(p).margin(1e-5));
  }
}

TEST_CASE("infer: the standard input, lists of names, streams and wrong usage", "[infer][cli]") {
  Workplace place;
  trained_run(place);
  write_file(place.path / "x.png", png_of(picture(20, 20, 1)));
  write_file(place.path / "y.jpg", jpeg_of(picture(20, 20, 3)));

  const Json piped = Json::parse(place.run("infer - --run a --json", "cat x.png |").out)["images"][0];
  const Json named = Json::parse(place.run("infer a x.png --json").out)["images"][0];
  CHECK(piped["image"] == "-");
  CHECK(piped["probabilities"] == named["probabilities"]);
  CHECK(place.run("infer - --run a < /dev/null").status == 2);

  const Ran list = place.run("infer --run a --list - --jsonl -", "printf 'x.png\\ny.jpg\\n' |");
  CHECK(list.status == 0);
  CHECK(lines_of(list.out).size() == 2);   // nothing else on stdout
  CHECK_THAT(list.err, contains("x.png"));
  write_file(place.path / "names", "y.jpg\nfaces\n");
  const Ran table = place.run("infer --run a x.png --list names --csv - --top 1");
  CHECK_THAT(table.out, contains("image,face") && contains("\nx.png,1,") && contains("\ny.jpg,1,") && contains("\nfaces/test/"));
  CHECK(place.run("infer --run a x.png --classes 'j,k,l'").status == 0);
  CHECK_THAT(place.run("infer --run a x.png --classes 'j,k,l'").out, contains("  k  "));

  expect_refused(place, "infer --run a", "no picture named");
  expect_refused(place, "infer --run a - --list -", "standard input is asked for");
  expect_refused(place, "infer a x.png --run a", "two runs");
  expect_refused(place, "infer --run a x.png --csv y.jpg", "which is a picture's name");
  expect_refused(place, "infer --run a x.png --csv - --jsonl -", "write to stdout");
  expect_refused(place, "infer --run a x.png --min-face 30", "Fix: --detect");
  expect_refused(place, "infer --run a x.png --classes j,k", "got 2 names, expected 3");
  expect_refused(place, "infer --run a x.png --csv no/such/o.csv", "no/such/o.csv");
  expect_refused(place, "infer --run a faces/none", "does not exist");
  CHECK(file_bytes(place.path / "y.jpg") == jpeg_of(picture(20, 20, 3)));
}

TEST_CASE("infer: annotated copies never take the place of a picture, and keep apart what has one name", "[infer]") {
  TempDir dir;
  for (const char* name : {"a/x.png", "a/x.bmp", "b/x.png", "b/y.JPG", "b/z"}) write_file(dir.path / name, png_of(picture(8, 8, 1)));
  std::vector<ListedPicture> inputs;
  for (const char* name : {"a/x.png", "a/x.bmp", "b/../b/x.png", "b/y.JPG", "b/z", "a/x.png"}) inputs.push_back({(dir.path / name).string(), {}});
  inputs.push_back({"-", {}});
  inputs.push_back({"/nowhere/at/all.png", "broken"});
  OutputNames names(dir.path / "out", inputs);
  std::vector<std::string> got;
  for (const ListedPicture& input : inputs)
    if (input.problem.empty()) got.push_back(names.next(input.name).lexically_relative(dir.path / "out").string());
  CHECK(got == std::vector<std::string>{"a/x.png", "a/x-2.png", "b/x.png", "b/y.JPG", "b/z.png", "a/x-3.png", "stdin.png"});

  OutputNames beside(dir.path, inputs);   // the folder of the pictures themselves
  CHECK(beside.next(inputs[0].name) == dir.path / "a" / "x-2.png");
  CHECK(beside.next(inputs[2].name) == dir.path / "b" / "x-2.png");
  fs::create_hard_link(dir.path / "a" / "x.png", dir.path / "a" / "x-3.png");
  write_picture(dir.path / "a" / "x-3.png", picture(9, 9, 3));            // a new file, not the old one's contents
  CHECK(file_bytes(dir.path / "a" / "x.png") == png_of(picture(8, 8, 1)));
  CHECK(read_image(dir.path / "a" / "x-3.png").pixels == picture(9, 9, 3).pixels);
  write_picture(dir.path / "new" / "j.jpeg", picture(9, 9, 1));
  CHECK(read_image(dir.path / "new" / "j.jpeg").channels == 1);
  CHECK_THROWS_WITH(write_picture(dir.path / "b" / "z" / "under a file.png", picture(9, 9, 1)), contains("cannot make the folder"));
}

TEST_CASE("infer: boxes and labels are drawn in, and small pictures enlarged", "[infer]") {
  const std::vector<std::string> classes{"happy", "\xc3\xa4\x01"};
  PictureAnswer answer{.name = "n", .width = 300, .height = 300, .searched = true};
  answer.faces.push_back({Face{100, 120, 80, 80, 1}, {{0.9f, 0.1f}, 0.5f, -0.5f}});
  const Image gray{300, 300, 1, std::vector<uint8_t>(90000, 128)};
  const Image drawn = annotated(gray, answer, classes);
  REQUIRE((drawn.width == 300 && drawn.height == 300 && drawn.channels == 3));
  const auto at = [](const Image& image, int x, int y) {
    const uint8_t* p = image.pixels.data() + (size_t(y) * size_t(image.width) + size_t(x)) * 3;
    return std::vector<int>{p[0], p[1], p[2]};
  };
  const std::vector<int> untouched{128, 128, 128};
  CHECK(at(drawn, 100, 150) != untouched);
  CHECK(at(drawn, 179, 199) != untouched);
  CHECK(at(drawn, 140, 160) == untouched);
  CHECK(at(drawn, 101, 118) != untouched);   // the label's ground
  CHECK(at(drawn, 20, 20) == untouched);
  answer.faces[0].said.probabilities = {0.1f, 0.9f};
  CHECK(annotated(gray, answer, classes).pixels != drawn.pixels);

  // Whatever the picture and wherever the face: nothing is written outside of it.
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 2000}, {2000, 1}, {48, 48}, {5, 700}}) {
    answer.faces[0].face = Face{-1000, 1 << 20, 1 << 20, 1 << 20, 0};
    const Image image = annotated(picture(width, height, 1), answer, {std::string(5000, 'w'), "b"});
    CHECK(image.width % width == 0);
    CHECK(image.pixels.size() == size_t(image.width) * size_t(image.height) * 3);
  }
  CHECK(annotated(picture(48, 48, 1), answer, classes).width == 288);
}

TEST_CASE("infer: a picture of where the network looks for each picture", "[infer][cli]") {
  Workplace place;
  trained_run(place);
  write_file(place.path / "p" / "x.png", png_of(picture(20, 20, 1)));
  write_file(place.path / "p" / "y.jpg", jpeg_of(picture(30, 20, 3)));
  const Ran ran = place.run("infer a p --cam looks");
  INFO(ran.out << ran.err);
  CHECK(ran.status == 0);
  for (const char* name : {"x.png", "y.jpg"}) {
    const Image shown = read_image(place.path / "looks" / name);
    CHECK((shown.width == 256 && shown.height == 256 && shown.channels == 3));   // 16 pixels, enlarged
  }
}

TEST_CASE("infer: ImageNet's names are a thousand, all different", "[infer]") {
  const std::vector<std::string> names = imagenet_names();
  CHECK(names.size() == kImagenetClasses);
  CHECK(std::set(names.begin(), names.end()).size() == names.size());
  CHECK(names[0] == "tench, Tinca tinca");
  CHECK(names[999] == "toilet tissue, toilet paper, bathroom tissue");
}

TEST_CASE("infer: photographs get the names that another runtime gives them", "[infer][cli]") {
  const std::string photos = test_data("photos"), expected = test_data("photos_top3.json"), weights = test_data("mobilenet_v2_imagenet.pth");
  if (photos.empty() || expected.empty() || weights.empty()) return;
  Workplace place;
  const Ran ran = place.run(fmt::format("infer '{}' --model mobilenetv2 --weights '{}' --preprocessing half --padding same --top 3 --json o.json",
                                        photos, weights));
  INFO(ran.out << ran.err);
  REQUIRE(ran.status == 0);
  const Json reference = Json::parse(text_of(expected)), answers = Json::parse(text_of(place.path / "o.json"))["images"];
  CHECK(answers.size() == reference.size());
  for (const Json& answer : answers) {
    const std::string name = fs::path(answer["image"].get<std::string>()).filename(), best = reference.at(name)[0][0];
    CHECK(answer["prediction"].get<std::string>().substr(0, best.size()) == best);
    CHECK(answer["probabilities"].size() == 3);
  }
}
