#include "tests/fixture.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

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

}  // namespace vkfer::fixture
