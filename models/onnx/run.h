#pragma once
// One run of an ONNX model on a device.
#include <map>
#include <string>

#include "graph/executor.h"
#include "models/onnx/import.h"

namespace vkfer {

struct OnnxAnswer {
  std::map<std::string, WeightTensor> outputs;   // of the model's types
  size_t nodes = 0;                              // that ran on the device
  double milliseconds = 0;                       // of the run; loading and planning not counted
};

// `values`: every input that has no initializer. Integers must fit 32 bits.
OnnxAnswer run_onnx(Device&, const Target&, const OnnxModel&, const std::map<std::string, WeightTensor>& values);

}  // namespace vkfer
