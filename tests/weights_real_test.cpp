// Published weights and photographs, where VKFER_TEST_DATA names a folder that holds them; skipped, saying so, elsewhere.
#include <nlohmann/json.hpp>

#include "models/weights/formats.h"
#include "models/weights/transfer.h"
#include "tests/data_files.h"
#include "tests/op_shader.h"
#include "tools/data/cache.h"
#include "tools/train/evaluator.h"
#include "tools/train/resize.h"
#include "tools/train/saved_network.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

struct Ready {
  States states{test_device()};
  Evaluator evaluator;
  Ready(const SavedNetwork& saved, const NetworkSettings& network) : evaluator(test_device(), states, network, target_for(test_device().info())) {
    load_weights(saved.weights, evaluator.graph(), states, {.classifier = network.model->classifier});
  }
};

}  // namespace

TEST_CASE("the published compact MobileNetV2 answers FER2013 as PyTorch does, cell for cell", "[weights][real][device]") {
  const std::string weights = test_data("compact_mobilenet_v2_fer2013.pth"), faces = test_data("fer2013.zip");
  if (weights.empty() || faces.empty()) return;
  const auto reference = nlohmann::json::parse(std::ifstream(test_data("compact_mobilenet_v2_reference.json")))["result"];
  const SavedNetwork saved = read_network(weights, {.model = "compact_mobilenetv2"});
  NetworkSettings network = saved.network;
  network.batch = 64;
  network.pixel_channels = 1;
  Ready ready(saved, network);
  const Dataset data = open_dataset(faces);
  const DecodedCache cache(data, data.split("test"), {.size = 48});
  const auto result = ready.evaluator.evaluate(cache);
  REQUIRE(result);
  for (int t = 0; t < 7; ++t)
    for (int p = 0; p < 7; ++p) CHECK(result->confusion.at(t, p) == reference["confusion"][size_t(t)][size_t(p)].get<int64_t>());
  CHECK(result->loss() == Approx(reference["loss"].get<double>()).epsilon(1e-5));
}

TEST_CASE("ImageNet's MobileNetV2 with TensorFlow's padding names every photograph", "[weights][real][device]") {
  const std::string weights = test_data("mobilenet_v2_imagenet.pth"), photos = test_data("photos"), labels = test_data("imagenet_labels_1001.txt");
  if (weights.empty() || photos.empty() || labels.empty()) return;
  std::vector<std::string> names;
  std::ifstream lines(labels);
  for (std::string line; std::getline(lines, line);) names.push_back(line);
  names.erase(names.begin());  // "background"
  const auto expected = nlohmann::json::parse(std::ifstream(test_data("photos_top3.json")));
  CHECK(expected.size() == 9);
  SavedNetwork saved = read_network(weights, {.model = "mobilenetv2"});
  set_conventions(saved, "half", "same");
  NetworkSettings network = saved.network;
  network.batch = network.pixel_channels = 3;
  Ready ready(saved, network);
  std::vector<Image> images;
  for (const auto& [file, answers] : expected.items()) images.push_back(convert_channels(read_image(fs::path(photos) / file), 3));
  const auto p = ready.evaluator.answers(DeviceResize(test_device())(images, network.size)).probabilities;
  size_t at = 0;
  for (const auto& [file, answers] : expected.items()) {
    INFO(file);
    const auto row = std::span(p).subspan(1000 * at++, 1000);
    const std::string best = names[size_t(std::ranges::max_element(row) - row.begin())];
    CHECK_THAT(best, contains(answers[0][0].get<std::string>()));  // the file's names are cut at 24 letters
  }
}
