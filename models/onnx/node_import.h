#pragma once
// A node of an ONNX model on its way into a graph: what the functions of the operator tables (operators.h) work with.
#include <memory>
#include <set>
#include <string>

#include "graph/ops/ops.h"
#include "models/onnx/import.h"

namespace vkfer {

// A tensor of the model. ONNX has channels second, our convolutions and pools have them last; a value keeps the order that it was
// made in, and is reordered only where an operator needs the other.
struct OnnxTensor {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<int64_t> shape;                      // as ONNX has it
  std::shared_ptr<const WeightTensor> known;       // its elements, when they do not depend on what the device computes
  Value value;                                     // invalid while only known
  bool channels_last = false;                      // of value: [n,h,w,c] where shape is [n,c,h,w]
  bool initializer = false;
  std::set<std::string> inputs;                    // of the model, that it depends on

  int64_t rank() const { return int64_t(shape.size()); }
  int64_t elements() const;
};

// An input has to be known at import: names of the model's inputs on which it depends. import_onnx() begins again with them.
struct NeedsKnown {
  std::set<std::string> inputs;
  std::string message;
};

// How a constant's elements lie in its state, and whether it trains: a statistic does not.
enum class Form : uint8_t { plain, filter, linear, statistic };

// Where nodes go, and how constants get there: the graph itself, or one that is only made to compute what is known.
class OnnxTarget {
 public:
  OnnxTarget(Graph& graph, bool folding, std::string source, Layers* layers) : graph(graph), folding(folding), layers(layers), source_(std::move(source)) {}
  Value constant(const OnnxTensor&, Form);
  Graph& graph;
  const bool folding;
  Layers* const layers;                            // null: the graph only infers
  std::map<std::string, WeightTensor> constants;   // by state
  std::map<int, HostTensor> given;                 // folding: by value

 private:
  void check_range(const OnnxTensor&) const;
  std::string source_;                             // the model, for messages
  std::map<std::string, Value> made_;              // by name and form
};

class NodeImport {
 public:
  NodeImport(const OnnxModel& model, const OnnxNode& node, std::vector<OnnxTensor> in, OnnxTarget& target);

  // ---- attributes
  bool has(const std::string& name) const { return node_.attributes.count(name) != 0; }
  int64_t integer(const std::string& name, int64_t fallback) const;
  double number(const std::string& name, double fallback) const;
  std::string text(const std::string& name, const std::string& fallback) const;
  std::vector<int64_t> integers(const std::string& name, std::vector<int64_t> fallback) const;
  const WeightTensor& tensor(const std::string& name) const;
  const OnnxAttribute* attribute(const std::string& name) const;
  int64_t opset() const;

  // ---- inputs
  int inputs() const { return int(in_.size()); }
  bool given(int i) const { return i < inputs() && !in_[size_t(i)].name.empty(); }
  const OnnxTensor& in(int i) const;
  // Elements that decide shapes: known, or NeedsKnown.
  std::vector<int64_t> integers_of(int i) const;
  std::vector<double> numbers_of(int i) const;
  int64_t axis(int64_t a, int64_t rank) const;     // negative ones count from the end
  std::vector<int64_t> axes(std::vector<int64_t> a, int64_t rank) const;  // sorted, each once

  // ---- values
  Value plain(const OnnxTensor&, Form = Form::plain);   // in ONNX's order; filter and linear: as conv2d and linear take them
  Value channels_last(const OnnxTensor&);               // rank 3 or more
  Value images(const OnnxTensor&);                      // channels_last as [n,h,w,c]: a rank of 3 gets a height of 1
  Value in_order_of(const OnnxTensor&, bool channels_last) ;

  Value add(const OpDef&, Attrs, std::vector<Value>);
  std::vector<Value> add_all(const OpDef&, Attrs, std::vector<Value>);
  Value reshape(Value, const std::vector<int64_t>& shape);
  Value transpose(Value, std::vector<int64_t> perm);
  Value binary(const char* function, Value a, Value b);
  Value unary(const char* function, Value x, Attrs attrs = {});
  Value scalar(double v, DType = DType::f32);           // shape []
  // Numbers that the import made, "<what the node makes>/<name>"; a name "constant ..." says all of them, and is one for every node.
  Value table(const std::string& name, StoredType, std::vector<int64_t> shape, std::span<const double>);
  Value select(Value condition, Value yes, Value no) { return add(ops::where, {}, {condition, yes, no}); }
  // `on` where a class in the last, new dimension is the label, else `off`.
  Value one_hot(Value labels, int64_t classes, double on, double off);
  // y[..., i, ...] = sum over j of matrix[i, j] x[..., j, ...] along an axis: moves and mixes that are linear.
  Value along(Value x, int64_t axis, int64_t rows, const std::string& name, std::span<const double> matrix);
  Value cast(Value, DType);
  Value reduce(const char* function, Value x, std::vector<int64_t> axes, bool keep);
  std::vector<int64_t> shape(Value) const;
  DType dtype(Value v) const { return target_.graph.desc(v).dtype; }

  // ---- outputs
  bool wants(int i) const { return size_t(i) < node_.out.size() && !node_.out[size_t(i)].empty(); }
  int outputs() const { return int(node_.out.size()); }
  void out(int i, Value, StoredType, bool channels_last = false);
  void out_known(int i, WeightTensor);
  void pass(int i, const OnnxTensor&);                  // the tensor itself, under another name

  const OnnxNode& node() const { return node_; }
  const std::string& label() const { return label_; }
  bool folding() const { return target_.folding; }
  Layers* layers() const { return target_.layers; }
  const Graph& graph() const { return target_.graph; }
  std::vector<OnnxTensor> results;                      // by output

  template <class... Args>
  [[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) const {
    throw UnsupportedOnnx(fmt::format("{}: {}: {}", model_.source, who(), fmt::format(format, std::forward<Args>(args)...)));
  }
  template <class... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> format, Args&&... args) const {
    fail("onnx", "{}: {}: {}. Fix: correct the model or its inputs", model_.source, who(), fmt::format(format, std::forward<Args>(args)...));
  }
  std::string who() const;                              // "Conv 'features.0'"

 private:
  [[noreturn]] void needs_known(int i) const;
  const OnnxModel& model_;
  const OnnxNode& node_;
  std::vector<OnnxTensor> in_;
  OnnxTarget& target_;
  std::string label_, made_name_;
};

// An initializer that training changes.
bool is_weight(const OnnxTensor&);
// {1, 0, 2} of what moved 0, 1, 2 there.
std::vector<int64_t> inverse(const std::vector<int64_t>& perm);
// {0, 2, 3, ..., 1}: channels to the end.
std::vector<int64_t> to_channels_last(int64_t rank);
WeightTensor tensor_of(StoredType, std::vector<int64_t> shape, std::span<const double>);

}  // namespace vkfer
