// A zip of class folders, good and hostile.
#include "tests/data_files.h"
#include "tools/data/cache.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

std::vector<ZipMember> zip_classes(int count) {
  std::vector<ZipMember> members;
  uint32_t seed = 0;
  for (const char* name : {"happy", "sad"})
    for (int i = 0; i < count; ++i) members.push_back({fmt::format("{}/{:03}.jpg", name, i), small_jpeg(++seed)});
  return members;
}

}  // namespace

TEST_CASE("zip: the same data as the unpacked folder, from several threads", "[data]") {
  const TempDir dir;
  std::vector<ZipMember> members = zip_classes(12);
  members.push_back({"__MACOSX/happy/._000.jpg", to_bytes("x")});
  members.push_back({"happy/", {}});
  members[3].stored = true;
  write_zip(dir.path / "d.zip", members);
  const Dataset zip = open_dataset((dir.path / "d.zip").string());
  for (const ZipMember& member : zip_classes(12)) write_file(dir.path / "d" / member.name, member.bytes);
  const Dataset folder = open_dataset((dir.path / "d").string());
  REQUIRE(zip.size() == folder.size());
  for (const char* part : {"train", "val", "test"}) CHECK(zip.split(part) == folder.split(part));
  const DecodedCache packed(zip, zip.split("all"), {.size = 16, .threads = 4});
  for (size_t i = 0; i < folder.size(); ++i) {
    CHECK(zip.sample(i).id == folder.sample(i).id);
    CHECK(std::ranges::equal(packed.pixels(i), folder.image(i).pixels));
  }
}

TEST_CASE("zip: hostile and broken archives", "[data]") {
  const TempDir dir;
  const fs::path path = dir.path / "bad.zip";
  const auto refuse = [&](const std::string& message) {
    CHECK_THROWS_WITH(open_dataset(path.string()), contains("bad.zip") && contains(message));
  };
  std::vector<ZipMember> members = zip_classes(2);
  SECTION("names that leave the archive") {
    for (const char* name : {"../evil.jpg", "happy/../../evil.jpg", "/etc/evil.jpg", "a\\..\\evil.jpg", "C:/evil.jpg"}) {
      members.resize(4);
      members.push_back({name, small_jpeg(9)});
      write_zip(path, members);
      refuse("leaves the archive");
    }
  }
  SECTION("the same name twice") {
    members.push_back({"happy/00X.jpg", small_jpeg(9)});
    write_zip(path, members);
    patch_file(path, "happy/00X.jpg", "happy/000.jpg");
    refuse("appears twice");
  }
  SECTION("encrypted members") {
    for (ZipMember& member : members) member.encrypted = true;
    write_zip(path, members);
    refuse("encrypted");
  }
  SECTION("truncated") {
    write_zip(path, members);
    const Bytes good = file_bytes(path);
    for (const size_t size : {good.size() - 1, good.size() / 2, size_t{30}, size_t{4}}) {
      write_file(path, std::span(good).first(size));
      refuse("cannot be opened");
    }
  }
  SECTION("a damaged member is named, the others are read") {
    members[1].stored = true;
    write_zip(path, members);
    const Bytes& inside = members[1].bytes;
    const std::string part(reinterpret_cast<const char*>(inside.data()) + inside.size() / 2, 8);
    patch_file(path, part, "\x55\xAA\x55\xAA\x55\xAA\x55\xAA");
    const Dataset data = open_dataset(path.string());
    CHECK_THROWS_WITH(data.image(1), contains("happy/001.jpg") && contains("bad.zip"));
    CHECK(data.image(0).width == 16);
  }
  SECTION("a member that claims more than its bytes can hold") {
    members.push_back({"sad/bomb.jpg", to_bytes(std::string(1000, 'A'))});
    write_zip(path, members);
    std::string from = raw<uint32_t>({1000}), to = raw<uint32_t>({200'000'000});
    patch_file(path, from, to);  // local and central header
    const Dataset data = open_dataset(path.string());
    CHECK_THROWS_WITH(data.image(4), contains("sad/bomb.jpg") && contains("claims"));
  }
  SECTION("a real bomb stays within the limit of one image") {
    Bytes zeros(kMaxImageFileBytes + 1);
    members.push_back({"sad/zeros.jpg", zeros});
    write_zip(path, members);
    const Dataset data = open_dataset(path.string());
    CHECK_THROWS_WITH(data.image(4), contains("sad/zeros.jpg") && contains("at most"));
  }
  SECTION("no class folders inside") {
    write_zip(path, {{"fer2013.csv", to_bytes("emotion,pixels\n")}});
    refuse("class folders");
  }
}

TEST_CASE("zip: random damage never crashes", "[data][fuzz]") {
  const TempDir dir;
  write_zip(dir.path / "good.zip", zip_classes(2));
  const int rounds = fuzz_rounds(200);
  flip_bytes(file_bytes(dir.path / "good.zip"), rounds, 10, [&](const Bytes& bytes) {
    write_file(dir.path / "fuzz.zip", bytes);
    const Dataset data = open_dataset((dir.path / "fuzz.zip").string());
    for (size_t i = 0; i < data.size(); ++i) data.image(i);
  });
}
