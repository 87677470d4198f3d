#include "models/onnx/operators.h"

#include <algorithm>

namespace vkfer {
namespace {

std::vector<std::span<const OnnxOperator>> tables() {
  return {kElementwiseOperators, kShapeOperators, kImageOperators, kReduceOperators, kLossOperators, kTrainingOperators};
}

}  // namespace

const OnnxOperator* find_onnx_operator(std::string_view domain, std::string_view name, int64_t opset) {
  const OnnxOperator* found = nullptr;
  for (const auto table : tables())
    for (const OnnxOperator& row : table)
      if (row.name == name && row.domain == domain && row.since <= opset && (!found || row.since > found->since)) found = &row;
  return found;
}

std::vector<std::string_view> onnx_operator_names() {
  std::vector<std::string_view> names;
  for (const auto table : tables())
    for (const OnnxOperator& row : table) names.push_back(row.name);
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace vkfer
