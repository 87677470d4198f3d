// HDF5 files: what h5py wrote, in every layout that it has.
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/weights/h5.h"
#include "models/weights/h5_image.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/data_files.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

const fs::path kFiles = fs::path(VKFER_FIXTURES) / "h5";

}  // namespace

TEST_CASE("every kind of dataset, group and attribute is read as h5py reads it", "[weights][h5]") {
  std::ifstream in(kFiles / "expected.json");
  const auto expected = nlohmann::json::parse(in);
  CHECK(expected.size() == 3);
  for (const auto& [file, contents] : expected.items()) {
    INFO(file);
    const H5Contents got = read_h5(file_bytes(kFiles / file), file);
    CHECK(got.datasets.size() == contents["datasets"].size());
    CHECK(got.datasets.size() >= 30);
    for (const auto& [path, dataset] : contents["datasets"].items()) {
      INFO(path);
      REQUIRE(got.datasets.count(path) == 1);
      CHECK(got.datasets.at(path).shape == dataset["shape"].get<std::vector<int64_t>>());
      CHECK(got.datasets.at(path).doubles() == dataset["values"].get<std::vector<double>>());
    }
    CHECK(got.unread == contents["unread"].get<std::vector<std::string>>());
    CHECK(got.groups.size() == contents["groups"].size());
    for (const auto& [path, attributes] : contents["groups"].items()) CHECK(got.groups.at(path) == attributes.get<H5Texts>());
  }
}

TEST_CASE("the checksum is lookup3", "[weights][h5]") {
  const auto sum = [](std::string_view s) { return h5_checksum(std::as_bytes(std::span(s))); };
  CHECK(sum("") == 0xdeadbeef);                                  // the author's own examples, with an initial value of 0
  CHECK(sum("Four score and seven years ago") == 0x17770551);
}

TEST_CASE("no cut and no changed byte of an HDF5 file does harm", "[weights][h5]") {
  for (const char* file : {"keras2_weights.h5", "keras2_latest.h5", "keras3.weights.h5", "latest.h5"}) {
    INFO(file);
    const Bytes whole = file_bytes(kFiles / file);
    const size_t step = whole.size() > 20000 ? 23 : 3;
    for (size_t n = 0; n < whole.size(); n += step) CHECK_THROWS_AS(read_h5(std::span(whole).first(n), "cut"), Error);
    size_t refused = 0;
    for (size_t i = 0; i < whole.size(); i += step)
      for (const int change : {0x01, 0x80, 0xff}) {
        Bytes bytes = whole;
        bytes[i] ^= std::byte(change);
        try {
          for (const auto& [name, tensor] : read_h5(bytes, "changed").datasets) (void)tensor.doubles();
        } catch (const Error&) {
          ++refused;
        }
      }
    CHECK(refused > 0);
  }
}
