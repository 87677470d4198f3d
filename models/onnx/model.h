#pragma once
// An ONNX model as it lies in its file: https://github.com/onnx/onnx/blob/main/docs/IR.md. Names are the file's; nothing is
// understood yet, but what could not be understood is refused: see read.cpp.
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/weights/weight_file.h"

namespace vkfer {

struct OnnxAttribute {
  enum class Kind : uint8_t { number, integer, text, tensor, numbers, integers, texts, other } kind = Kind::other;  // other: graphs, types
  double number = 0;
  int64_t integer = 0;
  std::string text;
  WeightTensor tensor;
  std::vector<double> numbers;
  std::vector<int64_t> integers;
  std::vector<std::string> texts;

  OnnxAttribute() = default;
  OnnxAttribute(double v) : kind(Kind::number), number(v) {}
  OnnxAttribute(int v) : kind(Kind::integer), integer(v) {}
  OnnxAttribute(int64_t v) : kind(Kind::integer), integer(v) {}
  OnnxAttribute(const char* v) : kind(Kind::text), text(v) {}
  OnnxAttribute(std::string v) : kind(Kind::text), text(std::move(v)) {}
  OnnxAttribute(WeightTensor v) : kind(Kind::tensor), tensor(std::move(v)) {}
  OnnxAttribute(std::vector<double> v) : kind(Kind::numbers), numbers(std::move(v)) {}
  OnnxAttribute(std::vector<int64_t> v) : kind(Kind::integers), integers(std::move(v)) {}
};

struct OnnxNode {
  std::string op, domain, name;                        // domain "": ai.onnx
  std::vector<std::string> in, out;                    // "": an optional one that is left out
  std::map<std::string, OnnxAttribute> attributes;
};

struct OnnxDim {
  int64_t size = -1;                                   // -1: unknown
  std::string symbol;                                  // "batch"; dimensions of one name are equal
};

struct OnnxPort {
  std::string name;
  std::optional<StoredType> type;                      // none: texts, sequences and other things that are no numbers
  std::optional<std::vector<OnnxDim>> shape;           // none: not even the rank is known
};

struct OnnxModel {
  std::string source;                                  // path, for messages and for external data
  int64_t ir_version = 8;
  std::string producer;
  std::map<std::string, int64_t> opsets;               // by domain
  std::vector<OnnxNode> nodes;                         // each after those it reads
  std::vector<OnnxPort> inputs, outputs;               // an input with an initializer of its name may be left out
  std::map<std::string, WeightTensor> initializers;
  std::map<std::string, std::string> metadata;
};

// Verifies all of it, or fails: every length; initializers and tensors of attributes; that values are computed once and before they
// are read. External data is read from the folder of `source`.
OnnxModel parse_onnx(std::span<const std::byte>, const std::string& source);
OnnxModel read_onnx(const std::string& path);
bool looks_like_onnx(std::span<const std::byte>);
// A TensorProto alone, as ONNX's test data has them.
WeightTensor parse_onnx_tensor(std::span<const std::byte>, const std::string& source);

// Initializers and tensors of Constant nodes, under their names.
WeightFile parse_onnx_weights(std::span<const std::byte>, const std::string& source);

// The same model gives the same bytes.
std::string onnx_bytes(const OnnxModel&);
std::optional<StoredType> type_of_onnx(int64_t data_type);
int64_t onnx_type(StoredType);                         // TensorProto.DataType

}  // namespace vkfer
