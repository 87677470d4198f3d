// Image readers: every format, strictness, damage.
#include "tests/data_files.h"

using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("jpeg: gray, colour, CMYK and subsamplings", "[data]") {
  const Image gray = picture(33, 21, 1);
  const Image back = decode_image(jpeg_of(gray), "gray");
  REQUIRE((back.width == 33 && back.height == 21 && back.channels == 1));
  int worst = 0;
  for (size_t i = 0; i < gray.pixels.size(); ++i) worst = std::max(worst, std::abs(gray.pixels[i] - back.pixels[i]));
  CHECK(worst < 40);

  Image flat{16, 24, 3, {}};
  for (int i = 0; i < 16 * 24; ++i) flat.pixels.insert(flat.pixels.end(), {200, 100, 50});
  for (const int subsampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411}) {
    const Image colour = decode_image(jpeg_of(flat, subsampling), "colour");
    REQUIRE(colour.channels == 3);
    CHECK(std::abs(colour.pixels[0] - 200) < 4);
    CHECK(std::abs(colour.pixels[1] - 100) < 4);
    CHECK(std::abs(colour.pixels[2] - 50) < 4);
  }
  CHECK(decode_image(jpeg_of(flat, TJSAMP_420, TJFLAG_PROGRESSIVE), "progressive").channels == 3);

  Image cmyk{8, 8, 4, {}};  // as stored by Adobe, inverted: R = C K / 255
  for (int i = 0; i < 64; ++i) cmyk.pixels.insert(cmyk.pixels.end(), {255, 128, 0, 200});
  const Image rgb = decode_image(jpeg_of(cmyk), "cmyk");
  REQUIRE((rgb.channels == 3 && rgb.pixels.size() == 8 * 8 * 3));
  CHECK(std::abs(rgb.pixels[0] - 200) < 5);
  CHECK(std::abs(rgb.pixels[1] - 100) < 5);
  CHECK(rgb.pixels[2] < 5);
}

TEST_CASE("jpeg: every truncation is an error, and the decoder recovers", "[data]") {
  for (const int flags : {0, int{TJFLAG_PROGRESSIVE}}) {
    const Bytes good = jpeg_of(picture(48, 48, 1), TJSAMP_444, flags);
    const Image reference = decode_image(good, "good");
    for (size_t size = 0; size < good.size(); ++size) {
      INFO("size " << size << " of " << good.size());
      CHECK_THROWS_AS(decode_image(std::span(good).first(size), "cut.jpg"), Error);
    }
    CHECK(decode_image(good, "good").pixels == reference.pixels);
  }
  CHECK_THROWS_WITH(decode_image(first(small_jpeg(1), 300), "cut.jpg"), contains("cut.jpg") && contains("Fix:"));
}

TEST_CASE("jpeg: corrupt entropy data is an error", "[data]") {
  Bytes bad = jpeg_of(picture(48, 48, 1));
  for (size_t i = bad.size() / 2; i < bad.size() / 2 + 8; ++i) bad[i] = std::byte{0xFF};
  CHECK_THROWS_WITH(decode_image(bad, "bad.jpg"), contains("bad.jpg"));
}

TEST_CASE("png: every colour type and depth", "[data]") {
  const Image gray = picture(13, 7, 1), rgb = picture(13, 7, 3);
  CHECK(decode_image(png_of(gray), "g").pixels == gray.pixels);
  CHECK(decode_image(png_of(rgb), "c").pixels == rgb.pixels);

  SECTION("bits: gray of 1, 2 and 4 bits is spread over 0..255") {
    CHECK(decode_image(png_of(8, 1, 1, 0, std::vector<uint8_t>{0, 0b10100000}), "1").pixels ==
          std::vector<uint8_t>{255, 0, 255, 0, 0, 0, 0, 0});
    CHECK(decode_image(png_of(4, 1, 2, 0, std::vector<uint8_t>{0, 0b00011011}), "2").pixels == std::vector<uint8_t>{0, 85, 170, 255});
    CHECK(decode_image(png_of(2, 1, 4, 0, std::vector<uint8_t>{0, 0x1F}), "4").pixels == std::vector<uint8_t>{17, 255});
  }
  SECTION("16 bits become 8, rounded") {
    CHECK(decode_image(png_of(2, 1, 16, 0, std::vector<uint8_t>{0, 0x80, 0x00, 0x7F, 0xFF}), "16").pixels ==
          std::vector<uint8_t>{128, 127});
  }
  SECTION("palette, also with transparency") {
    const std::vector<uint8_t> rows{0, 0, 1, 2}, palette{10, 20, 30, 40, 50, 60, 0, 0, 0};
    const Image plain = decode_image(png_of(3, 1, 8, 3, rows, {{"PLTE", palette}}), "p");
    CHECK(plain.pixels == std::vector<uint8_t>{10, 20, 30, 40, 50, 60, 0, 0, 0});
    const Image holes = decode_image(png_of(3, 1, 8, 3, rows, {{"PLTE", palette}, {"tRNS", {255, 255, 0}}}), "t");
    CHECK(holes.pixels == std::vector<uint8_t>{10, 20, 30, 40, 50, 60, 255, 255, 255});
  }
  SECTION("alpha is composited over white") {
    const Image ga = decode_image(png_of(3, 1, 8, 4, std::vector<uint8_t>{0, 100, 255, 100, 0, 0, 128}), "ga");
    CHECK(ga.channels == 1);
    CHECK(ga.pixels == std::vector<uint8_t>{100, 255, 127});
    const Image rgba = decode_image(png_of(1, 1, 8, 6, std::vector<uint8_t>{0, 0, 100, 200, 51}), "rgba");
    CHECK(rgba.pixels == std::vector<uint8_t>{204, 224, 244});
  }
  SECTION("interlaced: Adam7 of a 1x1 and a 2x1 image") {
    CHECK(decode_image(png_of(2, 1, 8, 0, std::vector<uint8_t>{0, 9, 0, 77}, {}, 1), "i").pixels == std::vector<uint8_t>{9, 77});
  }
  SECTION("a broken colour profile and unknown chunks do no harm") {
    const std::vector<uint8_t> rows{0, 5};
    CHECK(decode_image(png_of(1, 1, 8, 0, rows, {{"iCCP", {'x', 0, 0, 1, 2, 3}}, {"vkFr", {1, 2}}}), "x").pixels == std::vector<uint8_t>{5});
  }
}

TEST_CASE("png: truncation, any flipped bit and lies about the size are errors", "[data]") {
  const Bytes good = png_of(picture(24, 24, 3));
  for (size_t size = 0; size < good.size(); ++size) CHECK_THROWS_AS(decode_image(std::span(good).first(size), "cut.png"), Error);
  for (size_t i = 0; i < good.size(); ++i) {  // checksums cover every byte behind the signature
    Bytes bad = good;
    bad[i] ^= std::byte{0x10};
    INFO("byte " << i);
    CHECK_THROWS_AS(decode_image(bad, "flipped.png"), Error);
  }
  CHECK_THROWS_WITH(decode_image(png_of(20'000, 20'000, 8, 0, std::vector<uint8_t>{0, 1}), "bomb.png"),
                    contains("bomb.png") && contains("20000x20000") && contains("100 million"));
  CHECK_THROWS_AS(decode_image(png_of(4, 4, 8, 0, std::vector<uint8_t>{0, 1, 2, 3, 4}), "short.png"), Error);
  CHECK_THROWS_AS(decode_image(png_of(2, 1, 8, 3, std::vector<uint8_t>{0, 0, 0}), "no palette"), Error);
}

TEST_CASE("png: written and read back", "[data]") {
  const TempDir dir;
  for (const int channels : {1, 3}) {
    const Image image = picture(31, 17, channels);
    write_png(dir.path / "a.png", image);
    const Image back = read_image(dir.path / "a.png");
    CHECK((back.width == 31 && back.height == 17 && back.channels == channels));
    CHECK(back.pixels == image.pixels);
  }
  CHECK_THROWS_WITH(write_png(dir.path / "no" / "folder.png", picture(2, 2, 1)), contains("folder.png"));
  CHECK_THROWS_AS(write_png(dir.path / "b.png", Image{2, 2, 1, {1, 2, 3}}), Error);
}

TEST_CASE("bmp, pnm, tga and gif: read whole, refused when cut", "[data]") {
  const std::string pgm = "P5\n# face\n3 2\n255\n\x01\x02\x03\x04\x05\x06";
  CHECK(decode_image(to_bytes(pgm), "a.pgm").pixels == std::vector<uint8_t>{1, 2, 3, 4, 5, 6});
  CHECK(decode_image(to_bytes("P6 1 1 255 abc"), "a.ppm").pixels == std::vector<uint8_t>{'a', 'b', 'c'});
  CHECK_THROWS_WITH(decode_image(first(to_bytes(pgm), pgm.size() - 1), "cut.pgm"), contains("cut.pgm") && contains("expected"));

  // 2x2, 24 bits, rows bottom up and padded to 4 bytes, blue first.
  Bytes bmp(54 + 16, std::byte{0});
  const auto set = [&](size_t at, uint32_t value) { std::memcpy(bmp.data() + at, &value, 4); };
  bmp[0] = std::byte{'B'}, bmp[1] = std::byte{'M'};
  set(2, 70), set(10, 54), set(14, 40), set(18, 2), set(22, 2), set(26, 1 | 24 << 16);
  bmp[54] = std::byte{30}, bmp[55] = std::byte{20}, bmp[56] = std::byte{10};  // bottom left
  const Image b = decode_image(bmp, "a.bmp");
  REQUIRE((b.width == 2 && b.height == 2 && b.channels == 3));
  CHECK(std::vector<uint8_t>(b.pixels.begin() + 6, b.pixels.begin() + 9) == std::vector<uint8_t>{10, 20, 30});
  CHECK_THROWS_AS(decode_image(std::span(bmp).first(bmp.size() - 1), "cut.bmp"), Error);

  // 2x1 gray, uncompressed, origin at the top.
  Bytes tga(18 + 2, std::byte{0});
  tga[2] = std::byte{3}, tga[12] = std::byte{2}, tga[14] = std::byte{1}, tga[16] = std::byte{8}, tga[17] = std::byte{0x20};
  tga[18] = std::byte{7}, tga[19] = std::byte{9};
  CHECK(decode_image(tga, "a.tga").pixels == std::vector<uint8_t>{7, 9});
  CHECK_THROWS_AS(decode_image(std::span(tga).first(19), "cut.tga"), Error);

  // 1x1, palette black and white, index 1: code size 2, codes clear, 1, end.
  const unsigned char gif[] = {'G', 'I', 'F', '8', '9', 'a', 1,   0,   1, 0, 0x80, 0, 0,    0,    0,   0,    255, 255,
                               255, 0x2C, 0,  0,   0,   0,   1,   0,   1, 0, 0,    2, 2,    0x4C, 1,   0,    0x3B};
  const Image g = decode_image(std::as_bytes(std::span(gif)), "a.gif");
  CHECK((g.width == 1 && g.height == 1 && g.pixels[0] == 255));
  CHECK_THROWS_WITH(decode_image(std::as_bytes(std::span(gif)).first(sizeof gif - 1), "cut.gif"), contains("cut.gif"));
}

TEST_CASE("images: what is none is refused by name", "[data]") {
  CHECK_THROWS_WITH(decode_image({}, "empty.jpg"), contains("empty.jpg") && contains("empty"));
  CHECK_THROWS_WITH(decode_image(to_bytes("<html>not found</html>"), "page.jpg"), contains("page.jpg") && contains("not an image"));
  CHECK_THROWS_WITH(decode_image(to_bytes("RIFF....WEBPVP8 "), "a.webp"), contains("Fix: convert"));
  CHECK_THROWS_WITH(read_image("/nonexistent/a.jpg"), contains("/nonexistent/a.jpg") && contains("does not exist"));
  const TempDir dir;
  CHECK_THROWS_WITH(read_image(dir.path), contains("not a regular file"));
  try {
    read_image("/nonexistent/a.jpg");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::bad_input);
  }
}

TEST_CASE("images: channels and crops", "[data]") {
  const Image gray{1, 2, 1, {5, 250}};
  CHECK(convert_channels(gray, 3).pixels == std::vector<uint8_t>{5, 5, 5, 250, 250, 250});
  CHECK(convert_channels(Image{1, 1, 3, {100, 200, 50}}, 1).pixels == std::vector<uint8_t>{153});
  CHECK(convert_channels(gray, 1).pixels == gray.pixels);
  const Image image = picture(5, 4, 3);
  const Image part = crop_image(image, 3, 1, 2, 2, "box");
  CHECK(part.pixels[0] == image.pixels[(1 * 5 + 3) * 3]);
  CHECK(part.pixels[11] == image.pixels[(2 * 5 + 4) * 3 + 2]);
  for (const auto& box : std::vector<std::array<int, 4>>{{-1, 0, 2, 2}, {4, 0, 2, 2}, {0, 3, 2, 2}, {0, 0, 0, 1}, {0, 0, 2147483647, 1}})
    CHECK_THROWS_WITH(crop_image(image, box[0], box[1], box[2], box[3], "box 7"), contains("box 7"));
}

TEST_CASE("images: random damage never crashes a decoder", "[data][fuzz]") {
  const int rounds = fuzz_rounds(300);
  const auto read = [](const Bytes& bytes) { decode_image(bytes, "fuzz"); };
  flip_bytes(jpeg_of(picture(40, 24, 3), TJSAMP_420), rounds, 1, read);
  flip_bytes(jpeg_of(picture(40, 24, 1), TJSAMP_GRAY, TJFLAG_PROGRESSIVE), rounds, 2, read);
  CHECK(flip_bytes(png_of(picture(20, 20, 3)), rounds, 3, read) < rounds / 20);
  flip_bytes(to_bytes("P6 4 4 255 " + std::string(48, 'x')), rounds, 4, read);
  Bytes tga(18 + 64, std::byte{90});
  std::memcpy(tga.data(), "\0\0\x0A\0\0\0\0\0\0\0\0\0\x08\0\x08\0\x18\0", 18);  // run-length coded
  flip_bytes(tga, rounds, 5, read);
  Bytes bmp(54 + 1024 + 64, std::byte{0});
  std::memcpy(bmp.data(), "BM\0\0\0\0\0\0\0\0\x36\x04\0\0\x28\0\0\0\x08\0\0\0\x08\0\0\0\x01\0\x08\0", 30);
  flip_bytes(bmp, rounds, 6, read);
  const unsigned char gif[] = {'G', 'I', 'F', '8', '9', 'a', 4,   0,   4, 0, 0x80, 0, 0,    0,    0,   0,    255, 255, 255,
                               0x2C, 0,  0,   0,   0,   4,   0,   4,   0, 0, 2, 3,    0x84, 0x8F, 0x05, 0,   0x3B};
  flip_bytes(Bytes(reinterpret_cast<const std::byte*>(gif), reinterpret_cast<const std::byte*>(gif) + sizeof gif), rounds, 7, read);
}
