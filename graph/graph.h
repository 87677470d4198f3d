#pragma once
// A static graph in single assignment: nodes in execution order, each value written once.
// A graph is plain data. Values live as long as the graph; ids are indices and never change.
//
//   input   written by the host before each run (images, labels, learning rate)
//   state   lives across runs and across graphs under its name (parameters, running statistics, optimizer moments);
//           update() says which computed value it takes at the end of a run
//   computed  the output of a node
#include <span>
#include <string>
#include <vector>

#include "graph/attrs.h"
#include "graph/tensor.h"

namespace vkfer {

struct OpDef;

struct Value {
  int id = -1;
  explicit operator bool() const { return id >= 0; }
  friend bool operator==(Value, Value) = default;
};

enum class Role : uint8_t { input, state, computed };

// How a state's elements are ordered on the device, next to how torch's state_dict orders them.
//   plain          same order
//   filter         device [r,s,ci/groups,co]  <-> torch [co,ci/groups,r,s]
//   linear         device [in,out]            <-> torch [out,in]
//   linear_flatten device [h*w*c,out]         <-> torch [out,c*h*w]: a linear after flattening [n,h,w,c];
//                  device [h*w*c]             <-> torch [c*h*w]: a batch norm there
enum class Layout : uint8_t { plain, filter, linear, linear_flatten };

struct StateInfo {
  Layout layout = Layout::plain;
  bool trainable = false;          // a parameter the optimizer may change
  // zeros | ones | constant:<value> | kaiming_normal_fan_out | kaiming_uniform_fan_in | conv_uniform | uniform_fan_out | bias_uniform:<fan_in> | normal:<std> | glorot_uniform | he_uniform
  std::string init = "zeros";
  Shape flatten_from;              // linear_flatten: the [h,w,c] that was flattened
};

struct ValueInfo {
  std::string name;
  TensorDesc desc;
  Role role = Role::computed;
  StateInfo state;                 // role == state
  int producer = -1;               // role == computed: node index
  int producer_output = 0;
  bool output = false;             // readable after a run; its storage is never reused
};

struct Node {
  const OpDef* op = nullptr;
  Attrs attrs;
  std::vector<Value> in, out;
  std::string label;               // "features.3.conv.0": unique in the graph
};

struct Update {
  Value state, value;
};

class Graph {
 public:
  Value input(std::string name, TensorDesc);
  // The same name twice gives the same value; another shape under it is an error.
  Value state(std::string name, TensorDesc, StateInfo = {});
  // Checks the inputs by the op's shape(); returns the outputs.
  std::vector<Value> add(const OpDef&, Attrs, std::vector<Value> in, std::string label);
  Value add1(const OpDef& op, Attrs attrs, std::vector<Value> in, std::string label) {
    return add(op, std::move(attrs), std::move(in), std::move(label)).front();
  }
  void output(Value, std::string name = {});   // keep it readable after a run
  // `state` takes `value` at the end of the run. The producing op must declare that it can write in place.
  void update(Value state, Value value);

  const ValueInfo& info(Value v) const { return values_[size_t(v.id)]; }
  const TensorDesc& desc(Value v) const { return info(v).desc; }
  const Shape& shape(Value v) const { return info(v).desc.shape; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<ValueInfo>& values() const { return values_; }
  const std::vector<Update>& updates() const { return updates_; }
  std::vector<Value> states() const;           // in order of creation
  Value find(std::string_view name) const;     // by value name; invalid Value when absent
  std::string to_string() const;               // one line a node
  std::string unique_label(const std::string& wanted) const;
  void set_trainable(Value state, bool trainable) { values_[size_t(state.id)].state.trainable = trainable; }

  // For rewrites (fuse.cpp): replaces the node list; values keep their ids. Producers are recomputed and the graph is checked.
  void replace_nodes(std::vector<Node> nodes);
  Value new_value(TensorDesc, std::string name);

 private:
  std::vector<Node> nodes_;
  std::vector<ValueInfo> values_;
  std::vector<Update> updates_;
};

// Appends the nodes that compute d loss / d v for every v in `wrt` (states, inputs or computed) and returns those values, in order; an
// invalid Value where the loss does not depend on v. Several users of a value are summed. Nothing below `wrt` is differentiated.
std::vector<Value> differentiate(Graph&, Value loss, std::span<const Value> wrt);

// After differentiate(), for less memory: cheap results of the first `forward_nodes` nodes that the backward pass reads (OpDef::again)
// are computed again just before it does, instead of kept until then. The same numbers, bit for bit. Returns how many.
int recompute(Graph&, size_t forward_nodes);

// Training rewrites, before differentiate(): batch_norm + add + activation become one node.
void fuse_for_training(Graph&);
// Inference rewrites: batch norm folded into the convolution before it, activation and residual into its epilogue.
void fuse_for_inference(Graph&);

}  // namespace vkfer
