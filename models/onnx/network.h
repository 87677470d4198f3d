#pragma once
// An ONNX model as a network of ours, to fine-tune, evaluate and infer: `--model net.onnx`.
//
//   images ─ backbone ─► map [n,h,w,k] ─ neck ─► features [n,k] ─ the model's last linear layer ─► logits
//
// Found by going back from the model's first output: past what only turns scores into probabilities to the linear layer that
// makes them, and on to the last map of pixels, through which everything before it must pass. A model without such a layer is
// all backbone. Weights keep the model's names, so that a trained network's file can be read beside the original.
#include <string>
#include <string_view>

#include "models/onnx/model.h"
#include "models/registry.h"

namespace vkfer {

bool is_onnx_path(std::string_view model);   // "net.onnx": a file, and no name of ours

// Read once; lives as long as the process. `model` is a path, and what ModelInfo::reference() gives.
const ModelInfo& onnx_network(const std::string& path);
// The same under another path's name: a run folder keeps a copy of its own.
const ModelInfo& onnx_network(const std::string& path, const std::string& reference);

// What ModelInfo::definition() wrote, whose weights are in `tensors`; `source` for messages.
const ModelInfo& onnx_network_from(const std::string& definition, const std::string& name, const std::map<std::string, WeightTensor>& tensors,
                                   const std::string& source);

// A trained network over such a backbone as one ONNX model: the file's own nodes with the weights of `values` (by state, in torch's order), and
// our head behind them. Outputs as build_model() has them, images as the network takes them.
struct OnnxExportOptions;
OnnxModel export_onnx_network(const ModelInfo&, const ModelOptions&, const std::map<std::string, std::vector<float>>& values, const OnnxExportOptions&);

}  // namespace vkfer
