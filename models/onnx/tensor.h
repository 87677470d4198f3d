#pragma once
// TensorProto: elements in raw bytes, in lists of numbers by type, or in a file beside the model.
#include <filesystem>
#include <string>
#include <utility>

#include "models/onnx/model.h"
#include "models/onnx/protobuf.h"

namespace vkfer {

// Files that hold a model's tensors: each a plain name in the model's own folder, no folder above or below it and no link.
// What is read from them is counted, so that a small model cannot ask for the same bytes over and over.
class ExternalData {
 public:
  explicit ExternalData(const std::string& source) : folder_(std::filesystem::path(source).parent_path()), source_(source) {}
  std::vector<std::byte> read(const std::string& tensor, const std::string& location, uint64_t offset, uint64_t bytes);

 private:
  std::filesystem::path folder_;
  std::string source_;
  uint64_t read_ = 0;
};

// Name and elements. `external` null: refused.
std::pair<std::string, WeightTensor> read_onnx_tensor(ProtoReader, ExternalData*);
void write_onnx_tensor(ProtoWriter&, const std::string& name, const WeightTensor&);

}  // namespace vkfer
