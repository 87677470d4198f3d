// Repeats: statistics by their definitions, files that are read back, and a training with three seeds, interrupted and not.
#include "tools/train/repeats.h"

#include <cmath>
#include <fstream>
#include <functional>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/scratch.h"
#include "tests/workplace.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

TEST_CASE("statistics: as numpy's with ddof=1", "[repeats]") {
  const double values[] = {0.685, 0.699, 0.6931, 0.6912, 0.698};
  const Statistics s = statistics(values);
  CHECK(s.n == 5);
  CHECK(s.mean == Approx(0.69326).epsilon(1e-12));
  CHECK(s.std == Approx(0.005654909371510696).epsilon(1e-10));
  CHECK(s.variance == Approx(3.1978e-05).epsilon(1e-10));
  CHECK(s.min == 0.685);
  CHECK(s.max == 0.699);
  const double one[] = {NAN, 2, NAN};
  const Statistics single = statistics(one);
  CHECK(single.n == 1);
  CHECK(single.mean == 2);
  CHECK(std::isnan(single.std));
  CHECK(std::isnan(single.variance));
  CHECK(single.max == 2);
  const Statistics none = statistics({});
  CHECK(none.n == 0);
  CHECK(std::isnan(none.mean));
  CHECK(std::isnan(none.min));
  const double same[] = {3, 3, 3};
  CHECK(statistics(same).std == 0);
}

TEST_CASE("figures: those of the confusion matrix, by name", "[repeats]") {
  Evaluation e;
  e.confusion = Confusion(2);
  e.confusion.at(0, 0) = 3, e.confusion.at(0, 1) = 1, e.confusion.at(1, 1) = 4;
  e.count = 8, e.loss_sum = 4;
  e.valence = Affect{2, 1, {}};
  e.valence->metrics.count = 2, e.valence->metrics.rmse = 0.25;
  std::map<std::string, double> f;
  for (const auto& [name, value] : figures_of(e, {"a", "b,c"})) f[name] = value;
  CHECK(f.at("accuracy") == 7.0 / 8);
  CHECK(f.at("precision_b_c") == 4.0 / 5);
  CHECK(f.at("recall_a") == 3.0 / 4);
  CHECK(f.at("loss") == 1.0);  // 0.5 of the classes and 0.5 of valence
  CHECK(f.at("valence_rmse") == 0.25);
  CHECK(std::isnan(f.at("valence_ccc")));
  CHECK(f.count("arousal_rmse") == 0);
  const Json j = figures_json(figures_of(e, {"a", "b"}));
  CHECK(j.at("valence_ccc").is_null());
  CHECK(std::isnan(figures_from_json(j).back().second));
}

TEST_CASE("repeats: what is written is read back, and damage is named", "[repeats]") {
  Scratch scratch;
  Repeats r;
  r.settings.model = "resnet18", r.settings.seed = 7;
  r.count = 3;
  r.runs = {{7, 2, 3, {{"val", {{"accuracy", 0.5}, {"x", NAN}}}}}, {8, 1, 3, {{"val", {{"accuracy", 0.7}, {"x", 1}}}}}};
  write_repeats(scratch.path, r);
  const Repeats back = read_repeats(scratch.path);
  CHECK(repeats_json(back) == repeats_json(r));
  CHECK(back.settings_of(2).seed == 9);
  CHECK(back.settings_of(2).split_seed == 7);
  const Json j = repeats_json(r);
  CHECK(j.at("finished") == false);
  CHECK(j.at("statistics").at("val").at("accuracy").at("mean") == 0.6);
  CHECK(j.at("statistics").at("val").at("x").at("n") == 1);
  CHECK(j.at("statistics").at("val").at("x").at("std").is_null());
  CHECK(text_of(scratch.path / "repeats.csv") ==
        "split,figure,n,mean,std,variance,min,max,seed_7,seed_8\n"
        "val,accuracy,2,0.600000,0.141421,0.02,0.500000,0.700000,0.500000,0.700000\n"
        "val,x,1,1.000000,,,1.000000,1.000000,,1.000000\n");
  const Json good = Json::parse(text_of(scratch.path / "repeats.json"));
  const auto damaged = [&](const std::function<void(Json&)>& how) {
    Json bad = good;
    how(bad);
    std::ofstream(scratch.path / "repeats.json") << bad;
    CHECK_THROWS_AS(read_repeats(scratch.path), Error);
  };
  damaged([](Json& b) { b["runs"][1]["seed"] = 9; });
  damaged([](Json& b) { b["repeats"] = 1; });
  damaged([](Json& b) { b["repeats"] = "three"; });
  damaged([](Json& b) { b["runs"][0].erase("figures"); });
  damaged([](Json& b) { b["settings"].erase("lr"); });
  damaged([](Json& b) { b = Json::array(); });
  // A figure that one run lacks is unknown of it, and no order is relied on.
  Json lacking = good;
  lacking["runs"][1]["figures"]["val"] = {{"x", 1}, {"y", 2}};
  std::ofstream(scratch.path / "repeats.json") << lacking;
  const Json some = repeats_json(read_repeats(scratch.path)).at("statistics").at("val");
  CHECK(some.at("accuracy").at("n") == 1);
  CHECK(some.at("x").at("mean") == 1);
  CHECK(some.size() == 2);
  std::ofstream(scratch.path / "repeats.json") << "{";
  CHECK_THROWS_AS(read_repeats(scratch.path), Error);
}

TEST_CASE("tool: --repeats trains with several seeds, and goes on where it was", "[repeats][cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16, true);
  const std::string what = "train --model compact_resnet --data faces --size 16 --batch 4 --epochs 3 --seed 5 ";
  const Ran ran = place.run(what + "--repeats 3 --run whole --json");
  INFO(ran.err);
  REQUIRE(ran.status == 0);
  const Json whole = Json::parse(ran.out);
  CHECK(whole.at("finished") == true);
  CHECK_THAT(ran.err, contains("run 2 of 3, seed 6") && contains("variance"));
  CHECK(Json::parse(text_of(place.path / "whole/repeats.json")).at("statistics") == whole.at("statistics"));
  for (const char* split : {"val", "test"})
    for (const char* figure : {"accuracy", "macro_f1", "loss", "precision_a", "recall_b", "f1_c"}) {
      const Json& s = whole.at("statistics").at(split).at(figure);
      CHECK(s.at("n") == 3);
      CHECK(s.at("min") <= s.at("mean"));
      double sum = 0;
      for (const Json& run : whole.at("runs")) sum += run.at("figures").at(split).at(figure).get<double>();
      CHECK(s.at("mean").get<double>() == Approx(sum / 3));
    }
  // Each is the run that its seed alone would be, and its test figures are eval's.
  REQUIRE(place.run("train --model compact_resnet --data faces --size 16 --batch 4 --epochs 3 --seed 6 --run alone").status == 0);
  CHECK(text_of(place.path / "alone/model.safetensors") == text_of(place.path / "whole/seed-6/model.safetensors"));
  const Json eval = Json::parse(place.run("eval whole/seed-6 --split test --json").out);
  for (const char* figure : {"accuracy", "macro_f1", "loss"}) CHECK(eval.at(figure) == whole.at("runs").at(1).at("figures").at("test").at(figure));

  SECTION("killed again and again it ends the same") {
    const fs::path parts = place.path / "parts";
    int killed = 0;
    for (int life = 0; life < 40; ++life) {
      const std::string command = fs::exists(parts / "repeats.json") ? "train --resume parts" : what + "--repeats 3 --run parts";
      const Ran again = place.run_killed_after(0.1 + 0.2 * life, command);
      INFO(again.err);
      if (again.status == 0) break;
      REQUIRE(again.status == 137);
      ++killed;
    }
    CHECK(killed >= 2);
    const Ran last = place.run("train --resume parts --json");
    REQUIRE(last.status == 0);
    CHECK(Json::parse(last.out).at("statistics") == whole.at("statistics"));
    CHECK(text_of(parts / "repeats.csv") == text_of(place.path / "whole/repeats.csv"));
  }
  SECTION("more of them, and what does not agree") {
    CHECK(Json::parse(place.run("train --resume whole --repeats 4 --json").out).at("runs").size() == 4);
    expect_refused(place, "train --resume whole --repeats 2", "has 4 finished runs");
    expect_refused(place, "train --resume whole --lr 0.5", "[--lr] got 0.5");
    expect_refused(place, what + "--repeats 2 --run whole", "holds repeats already");
    expect_refused(place, what + "--repeats 2 --run alone", "is a single run");
    expect_refused(place, what + "--repeats 2 --run faces", "is not empty");
    expect_refused(place, what + "--repeats 0", "--repeats");
    expect_refused(place, "train --repeats 2 --data nowhere", "nowhere");
    expect_refused(place, "train --recipe r2-vgg19 --repeats 2", "begins with ImageNet weights");
    expect_refused(place, "train --resume none --repeats 2", "no run there");
    CHECK_FALSE(fs::exists(place.path / "runs"));
  }
}
