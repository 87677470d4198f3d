#pragma once
// Inference graphs of ours as ONNX models: the same names, images as [n,c,h,w], any batch.
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "models/onnx/model.h"

namespace vkfer {

inline constexpr int64_t kExportOpset = 17;

struct OnnxExportOptions {
  bool fold_batch_norm = true;   // into the convolution before it
  std::string batch = "batch";   // the name of the first dimension of inputs and outputs
};

// `graph`: unfused, as build_model() makes it for inference, with its outputs marked. `values`: of its states, in torch's order, as
// fit_weights() returns them. Fails for an op that the table of export.cpp does not know, naming the node.
OnnxModel export_onnx(const Graph& graph, const std::map<std::string, std::vector<float>>& values, const OnnxExportOptions& = {});

}  // namespace vkfer
