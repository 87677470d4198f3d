#include "tests/fixture.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/weights/transfer.h"
#include "tests/catch.h"
#include "tests/fixture_generator.h"

namespace vkfer::fixture {

nlohmann::json load(const std::string& file) {
  std::ifstream in(std::string(VKFER_FIXTURES) + "/" + file);
  INFO(file);
  REQUIRE(in);
  return nlohmann::json::parse(in);
}

Measured measure(const nlohmann::json& quantity, const std::string& name, std::span<const double> values) {
  INFO(name);
  REQUIRE(values.size() == quantity.at("count").get<size_t>());
  const auto expected = quantity.at("projections").get<std::vector<double>>();
  const auto samples = quantity.at("samples").get<std::vector<double>>();
  const double norm = quantity.at("norm"), scale = quantity.value("scale", norm);

  double distance = 0;
  for (size_t k = 0; k < expected.size(); ++k) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += sign(i, int(k)) * values[i];
    distance += (sum - expected[k]) * (sum - expected[k]);
  }
  Measured m;
  m.error = std::sqrt(distance / double(expected.size())) / scale;
  // No entry may be further off than the whole tensor is.
  for (size_t k = 0; k < samples.size(); ++k) {
    const uint64_t i = word(name_hash("sample:" + name), k) % values.size();
    m.error = std::max(m.error, std::abs(values[i] - samples[k]) / scale);
  }
  if (!std::isfinite(m.error)) m.error = INFINITY;  // a NaN must not compare as small
  m.worst = quantity.at("worst");
  m.norm = norm;
  m.text = fmt::format("{}: error {:.3g}, PyTorch's worst {:.3g}, norm {:.4g}", name, m.error, m.worst, m.norm);
  return m;
}

Measured measure(const nlohmann::json& quantity, const std::string& name, std::span<const float> values) {
  return measure(quantity, name, std::span<const double>(std::vector<double>(values.begin(), values.end())));
}

WeightFile generated_weights(const ModelInfo& model, const std::string& head, int size, int classes, const nlohmann::json& calibration) {
  Graph graph;
  Value images = graph.input("images", {{1, size, size, 3}, DType::f32});
  build_model(model, graph, images, {}, {.size = size, .classes = classes, .head = head});
  WeightFile file;
  file.source = "generated";
  for (Value v : graph.states()) {
    const ValueInfo& info = graph.info(v);
    const std::string& name = info.name;
    const auto shape = torch_shape(info);
    const auto layer = calibration.find(name.substr(0, name.rfind('.')));
    if (name.ends_with(".running_mean"))
      file.set(name, shape, running_mean(name, shape[0], layer->at(0), layer->at(1)));
    else if (name.ends_with(".running_var"))
      file.set(name, shape, running_var(name, shape[0], layer->at(1)));
    else
      file.set(name, shape, parameter(name, shape));
  }
  return file;
}

}  // namespace vkfer::fixture
