#pragma once
// Reads what tests/fixtures/*.py recorded and measures tensors against it. tests/fixtures/README.md has the rules.
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "models/registry.h"

namespace vkfer::fixture {

nlohmann::json load(const std::string& file);  // of tests/fixtures

struct Measured {
  double error = 0;  // distance to the recorded tensor, as its projections show it, by the recorded scale
  double worst = 0;  // the same of PyTorch's worst float variant
  double norm = 0;   // recorded
  std::string text;  // for messages
};

// `quantity` is one recorded by summary.py; `values` in torch's order. Fails the test when the counts differ.
Measured measure(const nlohmann::json& quantity, const std::string& name, std::span<const float> values);
Measured measure(const nlohmann::json& quantity, const std::string& name, std::span<const double> values);

// The parameters that generator.py makes for a network, with running statistics by a recorded calibration.
WeightFile generated_weights(const ModelInfo&, const std::string& head, int size, int classes, const nlohmann::json& calibration);

}  // namespace vkfer::fixture
