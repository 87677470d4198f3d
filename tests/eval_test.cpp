// Evaluation as a user asks for it: intervals, views, ensembles, temperatures, files.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/workplace.h"
#include "tools/train/views.h"

using namespace vkfer;
using namespace vkfer::test;
using Json = nlohmann::ordered_json;

TEST_CASE("views: mirrored and shifted pictures", "[views]") {
  CHECK(test_time_views("", 48).size() == 1);
  CHECK(test_time_views("none", 48)[0].plain());
  CHECK(test_time_views("flip", 48).size() == 2);
  const std::vector<View> ten = test_time_views("ten", 48);
  CHECK(ten.size() == 10);
  CHECK(ten[0].plain());
  CHECK(std::abs(ten[1].dx) == 4);
  CHECK(test_time_views("ten", 8)[1].dx != 0);
  CHECK_THROWS_WITH(test_time_views("twelve", 48), contains("--tta") && contains("none, flip or ten"));

  const std::vector<uint8_t> picture{1, 2, 3, 4, 5, 6, 7, 8, 9, /* another */ 11, 12, 13, 14, 15, 16, 17, 18, 19};
  const auto seen = [&](const View& view) {
    std::vector<uint8_t> pixels = picture;
    look_at(view, pixels, 3, 1);
    return pixels;
  };
  CHECK(seen({}) == picture);
  CHECK(seen({.mirrored = true}) == std::vector<uint8_t>{3, 2, 1, 6, 5, 4, 9, 8, 7, 13, 12, 11, 16, 15, 14, 19, 18, 17});
  CHECK(seen({.dx = 1}) == std::vector<uint8_t>{1, 1, 2, 4, 4, 5, 7, 7, 8, 11, 11, 12, 14, 14, 15, 17, 17, 18});
  CHECK(seen({.dy = -1}) == std::vector<uint8_t>{4, 5, 6, 7, 8, 9, 7, 8, 9, 14, 15, 16, 17, 18, 19, 17, 18, 19});
  std::vector<uint8_t> colour{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};   // two by two, three channels
  look_at({.mirrored = true}, colour, 2, 3);
  CHECK(colour == std::vector<uint8_t>{4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9});
}

TEST_CASE("tool: eval of one run, of several together, in several views, with a temperature", "[cli][eval]") {
  Workplace place;
  draw_faces(place.path / "faces", 16, true);
  const std::string train = "train --model compact_resnet --data faces --size 16 --batch 4 --epochs 3 ";
  REQUIRE(place.run(train + "--seed 1 --run a").status == 0);
  REQUIRE(place.run(train + "--seed 2 --run b").status == 0);

  const Ran one = place.run("eval a --split test --csv scores.csv --predictions rows.csv --json one.json");
  INFO(one.err);
  REQUIRE(one.status == 0);
  CHECK_THAT(one.out, contains("95 % interval") && contains("Krippendorff's alpha") && !contains("nan"));
  const Json j = Json::parse(text_of(place.path / "one.json"));
  CHECK(j["scores"]["accuracy"]["value"] == j["accuracy"]);
  CHECK(j["scores"]["macro_f1"]["value"].get<double>() == Approx(j["macro_f1"].get<double>()));
  CHECK(j["scores"]["log_loss"]["value"].get<double>() == Approx(j["loss"].get<double>()).epsilon(1e-5));
  CHECK(j["scores"]["accuracy"]["low"] <= j["accuracy"]);
  CHECK(j["scores"]["accuracy"]["high"] >= j["accuracy"]);
  CHECK(j["scores"]["per_class"].size() == 3);
  const std::string scores = text_of(place.path / "scores.csv"), rows = text_of(place.path / "rows.csv");
  CHECK_THAT(scores, contains("figure,of,value,low,high\n") && contains("accuracy,,") && contains("f1,"));
  CHECK(std::count(rows.begin(), rows.end(), '\n') == 7);   // and the header
  CHECK_THAT(rows, contains("image,label,prediction,p:"));

  // An ensemble of a run with itself is the run.
  const Json twice = Json::parse(place.run("eval a a --split test --json").out);
  CHECK(twice["accuracy"] == j["accuracy"]);
  CHECK(twice["loss"].get<double>() == Approx(j["loss"].get<double>()).epsilon(1e-5));
  const Json b = Json::parse(place.run("eval b --split test --json").out), both = Json::parse(place.run("eval a b --split test --json").out);
  CHECK(both["weights"].size() == 2);
  CHECK(both["loss"] <= (j["loss"].get<double>() + b["loss"].get<double>()) / 2 + 1e-6);   // cross-entropy is convex
  CHECK(both["loss"] != j["loss"]);

  const Json flipped = Json::parse(place.run("eval a --split test --tta flip --bootstrap 0 --json").out);
  CHECK(flipped["loss"] != j["loss"]);
  CHECK_FALSE(flipped["scores"]["accuracy"].contains("low"));
  const Json cool = Json::parse(place.run("eval a --split test --temperature 2 --json").out), fit = Json::parse(place.run("eval a --split test --temperature fit --json").out);
  CHECK(cool["accuracy"] == j["accuracy"]);
  CHECK(cool["loss"] != j["loss"]);
  CHECK(fit["temperature"] > 0);

  expect_refused(place, "eval a nowhere", "nowhere: no run there");
  expect_refused(place, "eval a --tta two", "none, flip or ten");
  expect_refused(place, "eval a --temperature hot", "--temperature");
  expect_refused(place, "eval a --temperature 0", "--temperature");
  expect_refused(place, "eval a --temperature fit --split val", "Fix: --split test");
  expect_refused(place, "eval a --bootstrap -1", "--bootstrap");
  CHECK(place.run("eval a --split test --csv none/scores.csv").status == 2);

  REQUIRE(place.run("train --model compact_resnet --size 16 --batch 32 --epochs 1 --run c").status == 0);
  expect_refused(place, "eval a c", "Fix: runs of the same classes");
}
