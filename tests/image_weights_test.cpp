// Images that count for more or less in the training loss: a manifest's column "weight".
#include <cmath>

#include "tests/catch.h"
#include "tests/first_loss.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/train/training.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

struct Weighed {
  float weight = 1;
  int shift = 0;          // of the class
  float valence = 0.25f;
};

// Drawn faces; `of` says what is told of the i-th.
Dataset weighed(const std::function<Weighed(size_t)>& of) {
  static const Dataset drawn = faces(64, 21);
  DatasetContents contents{"drawn faces", drawn.classes(), {}, [](const Sample& s) { return drawn.image(s.entry); }, 16, 1, true, {}};
  for (size_t i = 0; i < drawn.size(); ++i) {
    Sample s = drawn.sample(i);
    s.entry = i;
    if (s.split == Split::train) {
      const Weighed w = of(i);
      s.weight = w.weight, s.valence = w.valence;
      s.label = (s.label + w.shift) % int(drawn.classes().size());
    }
    contents.samples.push_back(s);
  }
  return Dataset(contents, {});
}

std::vector<std::byte> weights_after(const Dataset& data, TrainSettings s) {
  const Scratch scratch;
  s.epochs = 1;
  Training training(test_device(), data, s, {}, {});
  RunFolder folder = RunFolder::create(scratch.path / "run");
  training.run(folder);
  return folder.load({})->best_model;
}

}  // namespace

TEST_CASE("weights of images: none counts nothing, and all alike count as without", "[train][weights_of_images][device]") {
  TrainSettings s = small_settings(0, 0);
  for (const int micro : {0, 4}) {
    s.micro_batch = micro;
    const auto without_third = [](int shift) { return weighed([=](size_t i) { return i % 3 ? Weighed{} : Weighed{.weight = 0, .shift = shift}; }); };
    CHECK(weights_after(without_third(0), s) == weights_after(without_third(1), s));
    CHECK(weights_after(weighed([](size_t) { return Weighed{}; }), s) != weights_after(without_third(0), s));
    // A power of two is exact.
    CHECK(weights_after(weighed([](size_t) { return Weighed{.weight = 2}; }), s) == weights_after(weighed([](size_t) { return Weighed{.weight = 8}; }), s));
  }
  CHECK(first_loss(weighed([](size_t) { return Weighed{.weight = 3}; }), s) == Approx(first_loss(weighed([](size_t) { return Weighed{}; }), s)).epsilon(1e-5));
}

TEST_CASE("weights of images: one of a class' own is that of class weights", "[train][weights_of_images][device]") {
  TrainSettings s = small_settings(0, 0), by_class = s;
  const Dataset plain = weighed([](size_t) { return Weighed{}; });
  const std::vector<float> of_class{1, 2, 0.5f, 3, 1, 0.25f, 1.5f};
  REQUIRE(plain.classes().size() == of_class.size());
  by_class.class_weights = "1,2,0.5,3,1,0.25,1.5";
  const Dataset by_image = weighed([&](size_t i) { return Weighed{.weight = of_class[size_t(plain.sample(i).label)]}; });
  CHECK(first_loss(by_image, s) == Approx(first_loss(plain, by_class)).epsilon(1e-5));
  CHECK(std::abs(first_loss(by_image, s) - first_loss(plain, s)) > 1e-3);
}

TEST_CASE("weights of images: of valence and arousal, too", "[train][weights_of_images][device]") {
  TrainSettings s = small_settings(0, 0);
  s.va_only = true;
  s.monitor.clear();
  s = resolve_settings(s, 16);
  for (const char* loss : {"mse", "ccc"}) {
    s.va_loss = loss;
    for (const int micro : {0, 4}) {
      if (micro && s.va_loss == "ccc") continue;   // the ccc is of the whole batch
      s.micro_batch = micro;
      INFO(loss << " " << micro);
      const auto of = [&](float weight, float valence) {
        return weights_after(weighed([=](size_t i) { return i % 3 ? Weighed{.valence = float(i % 5) * 0.2f} : Weighed{.weight = weight, .valence = valence}; }), s);
      };
      CHECK(of(0, -0.5f) == of(0, 0.75f));
      CHECK(of(0.5f, -0.5f) != of(0.5f, 0.75f));
      CHECK(of(0.5f, 0.75f) != of(2, 0.75f));
    }
  }
}

TEST_CASE("weights of images: what cannot be is refused", "[train][weights_of_images]") {
  TrainSettings s = small_settings();
  CHECK_THROWS_WITH(Training(test_device(), weighed([](size_t) { return Weighed{.weight = 0}; }), s, {}, {}), contains("weight 0"));
  s.focal_gamma = 2;
  CHECK_THROWS_WITH(Training(test_device(), weighed([](size_t i) { return Weighed{.weight = float(i % 2)}; }), s, {}, {}), contains("--focal-gamma"));
  // Other weights are other data.
  const Dataset one = weighed([](size_t) { return Weighed{}; }), two = weighed([](size_t i) { return Weighed{.weight = i == 5 ? 2.0f : 1.0f}; });
  CHECK(fingerprint(one, false) != fingerprint(two, false));
}
