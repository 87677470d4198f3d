// Finding faces, and what is cut out of pictures around them.
#include "tools/predict/faces.h"

#include <thread>

#include "tests/data_files.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

// `face` laid into a plain picture at x, y.
Image placed(const Image& face, int width, int height, int x, int y) {
  Image all{height, width, face.channels, std::vector<uint8_t>(size_t(width) * height * face.channels, 128)};
  for (int r = 0; r < face.height; ++r)
    std::copy_n(face.pixels.begin() + ptrdiff_t(r) * face.width * face.channels, face.width * face.channels,
                all.pixels.begin() + (ptrdiff_t(y + r) * width + x) * face.channels);
  return all;
}

double centre_x(const Face& f) { return f.x + f.width / 2.0; }
double centre_y(const Face& f) { return f.y + f.height / 2.0; }

}  // namespace

TEST_CASE("faces: the same face is found where it is moved to, whatever its size in the picture", "[faces]") {
  const std::string path = test_data("afewva/images/106.jpg");
  if (path.empty()) return;
  const Image face = read_image(path);
  const FaceFinder finder;
  const std::vector<Face> alone = finder.find(face);
  REQUIRE(alone.size() == 1);
  CHECK(alone[0].score > 0);
  CHECK(std::abs(centre_x(alone[0]) - 112) < 30);
  CHECK(std::abs(centre_y(alone[0]) - 112) < 30);
  CHECK(alone[0].width > 100);

  const std::vector<Face> moved = finder.find(placed(face, 900, 700, 500, 300));
  REQUIRE(moved.size() == 1);
  CHECK(std::abs(centre_x(moved[0]) - 500 - centre_x(alone[0])) < 20);
  CHECK(std::abs(centre_y(moved[0]) - 300 - centre_y(alone[0])) < 20);
  CHECK(std::abs(moved[0].width - alone[0].width) < 40);

  Image two = placed(face, 700, 300, 20, 30);
  two.pixels = placed(face, 700, 300, 420, 40).pixels;   // then the first again, beside it
  const Image first = placed(face, 700, 300, 20, 30);
  for (int y = 0; y < 300; ++y)
    std::copy_n(first.pixels.begin() + ptrdiff_t(y) * 700 * 3, 350 * 3, two.pixels.begin() + ptrdiff_t(y) * 700 * 3);
  const std::vector<Face> both = finder.find(two);
  REQUIRE(both.size() == 2);
  CHECK(both[0].score >= both[1].score);
  CHECK(std::abs(std::abs(centre_x(both[0]) - centre_x(both[1])) - 400) < 25);

  CHECK(FaceFinder({.min_face = 230}).find(face).empty());   // narrower than asked for
  CHECK(FaceFinder({.min_score = 5}).find(face).empty());
}

TEST_CASE("faces: gray pictures and colour ones, from several threads", "[faces]") {
  const std::string path = test_data("afewva/images/106.jpg");
  if (path.empty()) return;
  const Image face = read_image(path);
  const FaceFinder finder;
  const std::vector<Face> expected = finder.find(convert_channels(face, 1));
  REQUIRE(expected.size() == 1);
  std::vector<std::vector<Face>> got(4);
  std::vector<std::thread> threads;
  for (auto& mine : got) threads.emplace_back([&] { mine = finder.find(face); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& faces : got) {
    REQUIRE(faces.size() == 1);
    CHECK(faces[0].x == expected[0].x);
    CHECK(faces[0].score == expected[0].score);
  }
}

TEST_CASE("faces: most pictures of FER2013 hold one, framed as they are", "[faces]") {
  const std::string root = test_data("fer2013-mini");
  if (root.empty()) return;
  const FaceFinder finder({.min_face = 20});
  int pictures = 0, found = 0;
  double width = 0, lift = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".jpg" || ++pictures % 3) continue;
    const std::vector<Face> faces = finder.find(placed(read_image(entry.path()), 80, 80, 16, 16));
    if (faces.empty()) continue;
    ++found;
    width += faces[0].width * (1 + kFaceMargin);
    lift += centre_y(faces[0]) - kFaceLift * faces[0].width - 40;
  }
  INFO(found << " of " << pictures / 3);
  CHECK(found > pictures / 3 / 2);
  CHECK(width / found == Approx(48).margin(6));
  CHECK(lift / found == Approx(0).margin(3));
}

TEST_CASE("faces: none in noise, in one colour and in pictures of odd shapes", "[faces]") {
  const FaceFinder finder;
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 5000}, {5000, 1}, {39, 39}, {40, 40}, {41, 3000}, {100000, 45}, {300, 200}, {3000, 2500}})
    for (const int channels : {1, 3}) {
      INFO(width << "x" << height << "x" << channels);
      if (width * height > 1000000 && channels == 3) continue;
      CHECK(finder.find(Image{height, width, channels, std::vector<uint8_t>(size_t(width) * height * channels, 90)}).empty());
      if (width * height < 100000) CHECK(finder.find(picture(width, height, channels)).empty());
    }
  CHECK_THROWS_WITH(FaceFinder({.min_face = 0}), contains("got 0, expected 10"));
  CHECK_THROWS_WITH(FaceFinder({.min_score = std::nan("")}), contains("expected -100 to 100"));
}

TEST_CASE("faces: crops are square, wider than the face, and repeat the edge outside of the picture", "[faces]") {
  Image ramp{100, 200, 1, {}};
  for (int y = 0; y < 100; ++y)
    for (int x = 0; x < 200; ++x) ramp.pixels.push_back(uint8_t(x));
  const Image inside = face_crop(ramp, {.x = 100, .y = 30, .width = 40, .height = 40}, 0.5);
  REQUIRE((inside.width == 60 && inside.height == 60 && inside.channels == 1));
  CHECK(inside.pixels[0] == 90);
  CHECK(inside.pixels[59] == 149);
  const Image corner = face_crop(ramp, {.x = 180, .y = 80, .width = 40, .height = 40}, 0);
  REQUIRE(corner.pixels.size() == 1600);
  CHECK(corner.pixels.front() == 180);
  CHECK(corner.pixels.back() == 199);
  const Image outside = face_crop(ramp, {.x = -500, .y = -500, .width = 50, .height = 50});
  CHECK(std::ranges::count(outside.pixels, 0) == ptrdiff_t(outside.pixels.size()));
  CHECK(face_crop(picture(1, 1, 3), {.x = 0, .y = 0, .width = 90, .height = 90}).pixels.size() == 2 * 2 * 3);
  // Its rows are those above the middle of the face: foreheads belong to faces.
  Image rows{100, 10, 1, {}};
  for (int y = 0; y < 100; ++y) rows.pixels.insert(rows.pixels.end(), 10, uint8_t(y));
  CHECK(face_crop(rows, {.x = 0, .y = 40, .width = 20, .height = 20}, 0).pixels.front() == 39);
}
