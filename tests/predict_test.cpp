// Trained networks put to use.
#include "tools/predict/predictor.h"

#include <cmath>

#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/data_files.h"
#include "tests/workplace.h"
#include "tools/predict/trained.h"
#include "tools/train/evaluator.h"
#include "tools/train/resize.h"

using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("predictor: what the evaluator says, of any number of pictures of any size", "[predict]") {
  Workplace place;
  draw_faces(place.path / "faces", 16, true);
  REQUIRE(place.run("train --model compact_resnet --data faces --size 16 --batch 4 --epochs 1 --run a").status == 0);
  const Trained trained = open_run(place.path / "a");
  std::vector<Image> pictures;
  for (int i = 0; i < 11; ++i) pictures.push_back(picture(16 + 5 * i, 20 + 2 * i, i % 3 == 1 ? 3 : 1, uint32_t(i) + 1));

  Device device;
  NetworkSettings network = trained.network_on(device);
  network.pixel_channels = network.channels;
  network.batch = 1;
  States states(device);
  Evaluator evaluator(device, states, network, trained.target_on(device));
  load_weights(trained.saved.weights, evaluator.graph(), states, {.classifier = network.classifier()});
  DeviceResize resize(device);

  Predictor predictor(device, trained, {.batch = 4});   // so in fours, and the last three in four
  CHECK(predictor.classes() == std::vector<std::string>{"a", "b", "c"});
  CHECK(predictor.predict({}).empty());
  const std::vector<Prediction> predictions = predictor.predict(pictures);
  REQUIRE(predictions.size() == pictures.size());
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Image one = convert_channels(pictures[i], network.channels);
    const Answers alone = evaluator.answers(resize(std::span(&one, 1), network.size));
    REQUIRE(predictions[i].probabilities.size() == 3);
    CHECK_FALSE(predictions[i].valence);
    for (size_t c = 0; c < 3; ++c) CHECK(std::abs(predictions[i].probabilities[c] - alone.probabilities[c]) < 1e-5);
  }
  const std::vector<Prediction> again = predictor.predict(std::span(pictures).first(1));
  for (size_t c = 0; c < 3; ++c) CHECK(std::abs(again[0].probabilities[c] - predictions[0].probabilities[c]) < 1e-5);
  CHECK(by_probability(std::vector<float>{0.1f, 0.4f, 0.1f, 0.4f}) == std::vector<size_t>{1, 3, 0, 2});
  CHECK_THROWS_WITH(Predictor(device, trained, {.batch = 0}), contains("batch: got 0"));
}

TEST_CASE("predictor: valence and arousal alone", "[predict]") {
  Workplace place;
  std::string manifest = "image,split,valence,arousal\n";
  for (int i = 0; i < 12; ++i) {
    const std::string name = fmt::format("{}.png", i);
    write_png(place.path / name, picture(16, 16, 1, uint32_t(i) + 1));
    manifest += fmt::format("{},{},{},{}\n", name, i < 8 ? "train" : "val", i / 12.0, -i / 12.0);
  }
  write_file(place.path / "faces.csv", manifest);
  const Ran train = place.run("train --model compact_resnet --data faces.csv --size 16 --batch 4 --epochs 1 --va-only --run a");
  INFO(train.err);
  REQUIRE(train.status == 0);
  Device device;
  Predictor predictor(device, open_run(place.path / "a"));
  const std::vector<Prediction> p = predictor.predict(std::vector{picture(16, 16, 1)});
  CHECK(predictor.classes().empty());
  CHECK(p[0].probabilities.empty());
  CHECK(std::isfinite(p[0].valence.value()));
  CHECK(std::isfinite(p[0].arousal.value()));
}
