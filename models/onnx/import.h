#pragma once
// ONNX models as graphs of ours.
//
//   OnnxModel model = read_onnx("net.onnx");
//   Graph g;
//   ImportedOnnx net = import_onnx(model, g, {.values = {{"x", tensor}}});
//   ... a plan, an executor; write net.inputs, set net.constants as states, run, read net.outputs
//
// What is known at import (shapes, constants, and given inputs that decide a shape) is computed here, on the host.
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "models/onnx/model.h"
#include "runtime/error.h"

namespace vkfer {

// The model asks for something that is right but that we do not do.
class UnsupportedOnnx : public Error {
 public:
  explicit UnsupportedOnnx(const std::string& what) : Error(ErrorKind::bad_input, "onnx", what) {}
};

class Layers;

struct OnnxOptions {
  std::map<std::string, std::vector<int64_t>> shapes;   // of inputs, by name; needed where the model leaves sizes open
  std::map<std::string, WeightTensor> values;           // of inputs: for their shapes, and used where they decide others
  // As a part of a network of ours: inputs are values of the graph, f32, [n,h,w,c] where ONNX has [n,c,h,w]; so are the outputs, which are
  // not marked. With layers (over the same graph) it may train: what they freeze stays, batch norms and dropouts do as they say.
  std::map<std::string, Value> part;
  Layers* layers = nullptr;
};

struct ImportedPort {
  std::string name;
  StoredType type = StoredType::f32;                    // as the model has it; the value is f32, or i32 for integers and truth values
  std::vector<int64_t> shape;
  Value value;                                          // in ONNX's order, [n,c,h,w]
  std::optional<WeightTensor> known;                    // known at import: there is no value
};

struct ImportedOnnx {
  std::vector<ImportedPort> inputs, outputs;            // inputs whose values decided shapes are not among them
  std::map<std::string, WeightTensor> constants;        // by state, in torch's order (see weights/transfer.h)
  std::map<std::string, std::vector<int64_t>> shapes;   // of every value of the model, by name
};

ImportedOnnx import_onnx(const OnnxModel&, Graph&, const OnnxOptions& = {});

// What the device holds of it.
DType device_type(StoredType);

// Operators of the model that we have no function for, each once, with how often: "Loop (2)".
std::vector<std::string> unsupported_operators(const OnnxModel&);

// Writes the constants: all states that import_onnx made.
class States;
void set_constants(const ImportedOnnx&, const Graph&, States&);

}  // namespace vkfer
