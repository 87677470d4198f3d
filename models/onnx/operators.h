#pragma once
// The operators of ONNX that we know: one table in parts, by family. No code outside the tables knows all operators.
#include <span>
#include <string_view>

#include "models/onnx/node_import.h"

namespace vkfer {

struct OnnxOperator {
  std::string_view name;
  int since;                             // the opset from which on it is so; a later row of the same name takes over
  void (*import)(NodeImport&);
  std::string_view domain = "";
};

extern const std::span<const OnnxOperator> kElementwiseOperators, kShapeOperators, kImageOperators, kReduceOperators, kLossOperators, kTrainingOperators;

// The row that this opset means; null: we have none.
const OnnxOperator* find_onnx_operator(std::string_view domain, std::string_view name, int64_t opset);
std::vector<std::string_view> onnx_operator_names();      // sorted, each once

inline constexpr int64_t kFirstOpset = 1, kLastOpset = 21;

}  // namespace vkfer
