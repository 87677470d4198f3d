// Orientation: read from Exif data, and pictures turned by it.
#include "tools/data/exif.h"

#include "tests/data_files.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

void put(Bytes& out, bool little, size_t bytes, uint32_t value) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(std::byte(value >> 8 * (little ? i : bytes - 1 - i) & 255));
}

// A TIFF header and a directory: a tag that is none of our business, then the orientation.
Bytes tiff(int orientation, bool little, uint32_t type = 3, uint32_t count = 1) {
  Bytes t = to_bytes(little ? "II" : "MM");
  put(t, little, 2, 42), put(t, little, 4, 8), put(t, little, 2, 2);
  put(t, little, 2, 0x0110), put(t, little, 2, 2), put(t, little, 4, 4), put(t, little, 4, 0x41424300);
  put(t, little, 2, 0x0112), put(t, little, 2, type), put(t, little, 4, count), put(t, little, 2, uint32_t(orientation)), put(t, little, 2, 0);
  put(t, little, 4, 0);
  return t;
}

Bytes with_exif(const Bytes& jpeg, const Bytes& tiff) {
  Bytes out = first(jpeg, 2), content = to_bytes(std::string_view("Exif\0\0", 6));
  content.insert(content.end(), tiff.begin(), tiff.end());
  put(out, false, 2, 0xFFE1), put(out, false, 2, uint32_t(content.size() + 2));
  out.insert(out.end(), content.begin(), content.end());
  out.insert(out.end(), jpeg.begin() + 2, jpeg.end());
  return out;
}

std::vector<uint8_t> bytes_of(const Bytes& b) {
  std::vector<uint8_t> out;
  for (const std::byte v : b) out.push_back(std::to_integer<uint8_t>(v));
  return out;
}

}  // namespace

TEST_CASE("exif: the eight orientations of JPEG and PNG, in both byte orders", "[exif]") {
  const Bytes jpeg = jpeg_of(picture(24, 16, 3));
  CHECK(exif_orientation(jpeg) == 1);
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool little : {true, false}) {
      CHECK(exif_orientation(with_exif(jpeg, tiff(orientation, little))) == orientation);
      const Bytes png = png_of(1, 1, 8, 0, std::vector<uint8_t>{0, 7}, {{"eXIf", bytes_of(tiff(orientation, little))}});
      CHECK(exif_orientation(png) == orientation);
      CHECK(decode_upright(png, "p").pixels == std::vector<uint8_t>{7});
    }
  for (const int bad : {0, 9, 65535}) CHECK(exif_orientation(with_exif(jpeg, tiff(bad, true))) == 1);
  CHECK(exif_orientation(with_exif(jpeg, tiff(6, true, 4))) == 1);      // another type
  CHECK(exif_orientation(with_exif(jpeg, tiff(6, true, 3, 2))) == 1);
  CHECK(exif_orientation({}) == 1);
  CHECK(exif_orientation(to_bytes("BM")) == 1);
}

TEST_CASE("exif: pictures are turned as they are to be seen", "[exif]") {
  // 1 2 3
  // 4 5 6
  const Image stored{2, 3, 1, {1, 2, 3, 4, 5, 6}};
  const auto seen = [&](int orientation) { return turned_upright(stored, orientation); };
  CHECK(seen(1).pixels == stored.pixels);
  CHECK(seen(2).pixels == std::vector<uint8_t>{3, 2, 1, 6, 5, 4});
  CHECK(seen(3).pixels == std::vector<uint8_t>{6, 5, 4, 3, 2, 1});
  CHECK(seen(4).pixels == std::vector<uint8_t>{4, 5, 6, 1, 2, 3});
  CHECK(seen(5).pixels == std::vector<uint8_t>{1, 4, 2, 5, 3, 6});
  CHECK(seen(6).pixels == std::vector<uint8_t>{4, 1, 5, 2, 6, 3});      // held upright, the camera's right side up: a quarter clockwise
  CHECK(seen(7).pixels == std::vector<uint8_t>{6, 3, 5, 2, 4, 1});
  CHECK(seen(8).pixels == std::vector<uint8_t>{3, 6, 2, 5, 1, 4});
  for (int orientation = 5; orientation <= 8; ++orientation) CHECK((seen(orientation).height == 3 && seen(orientation).width == 2));
  const Image colour{1, 2, 3, {1, 2, 3, 4, 5, 6}};
  CHECK(turned_upright(colour, 2).pixels == std::vector<uint8_t>{4, 5, 6, 1, 2, 3});
}

TEST_CASE("exif: reading upright turns; reading as stored does not", "[exif]") {
  const Bytes file = with_exif(jpeg_of(picture(24, 16, 3)), tiff(6, false));
  const Image stored = decode_image(file, "s"), upright = decode_upright(file, "u");
  CHECK((stored.height == 16 && stored.width == 24));
  CHECK((upright.height == 24 && upright.width == 16));
  CHECK(turned_upright(stored, 6).pixels == upright.pixels);
}

TEST_CASE("exif: damage is never more than an upright picture", "[exif]") {
  const Bytes good = with_exif(jpeg_of(picture(24, 16, 3)), tiff(6, true));
  for (size_t size = 0; size < 80; ++size) {
    const int orientation = exif_orientation(std::span(good).first(size));
    CHECK((orientation == 1 || orientation == 6));
  }
  const auto read = [](const Bytes& bytes) {
    const int orientation = exif_orientation(bytes);
    if (orientation < 1 || orientation > 8) throw std::logic_error("out of range");
  };
  const int rounds = fuzz_rounds(2000);
  CHECK(flip_bytes(first(good, 80), rounds, 1, read) == rounds);
  CHECK(flip_bytes(png_of(1, 1, 8, 0, std::vector<uint8_t>{0, 7}, {{"eXIf", bytes_of(tiff(5, false))}}), rounds, 2, read) == rounds);
  Bytes far = tiff(6, true);
  for (const size_t at : {4u, 5u, 6u, 7u}) far[at] = std::byte{0xFF};   // the directory at 4 GiB
  CHECK(exif_orientation(with_exif(good, far)) == 1);
}
