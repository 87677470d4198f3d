#pragma once
// An op is one value, OpDef: everything that the graph, the planner, the executor and the tests need to know of it.
// graph/ops/<family>.cpp holds its functions; the OpDef at the bottom is the table of contents. No code outside that
// file may depend on which op a node is.
#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace vkfer {

// ---- what a device can do, as plain data: lowering never sees Vulkan -------------------------------------------

enum class Engine : uint8_t { direct, subgroup, shared, coopmat };
const char* engine_name(Engine);
Engine engine_from_name(std::string_view);

struct Target {
  Engine engine = Engine::subgroup;   // the fastest engine allowed; an op without it takes the next simpler one
  uint32_t subgroup_size = 8;
  uint32_t max_invocations = 128;     // per workgroup
  uint32_t workgroup = 64;            // good size for an elementwise workgroup here
  uint32_t vectors_per_invocation = 4;// elementwise: how many vec4 one invocation handles
  uint32_t parallel_groups = 64;      // workgroups that fill the device: decides slices of reductions
  uint32_t shared_memory_bytes = 16384;
  size_t max_storage_range = size_t(128) << 20;
  size_t storage_alignment = 256;
  uint32_t max_groups = 65535;        // per dimension
  std::array<uint32_t, 3> matrix{};   // m, n, k of cooperative matrices with f16 operands and f32 sums; zeros: none
  bool texel = false;                 // load through texel buffers where a module offers it
  bool scalar_loads = false;          // a load at one address for a whole workgroup costs next to nothing
  std::map<std::string, Attrs> tuning;// by Problem::key(): other values of the above for that problem, see tuning.h
  std::string to_string() const;      // everything that changes a summation order; stored with checkpoints
};

// ---- launches as data ---------------------------------------------------------------------------------------------

struct Binding {
  enum class Kind : uint8_t { value, workspace, table } kind = Kind::value;
  int id = -1;                        // value id, or index of the node's workspace or table
  size_t offset = 0, bytes = 0;       // bytes 0: to the end
};

struct Dispatch {
  std::string module;                 // "conv_gemm.f32"
  std::vector<uint32_t> constants;    // specialization constants 0, 1, 2, ...; 0 is the workgroup size
  std::vector<Binding> bindings;      // by binding number
  std::vector<std::byte> push;
  std::array<uint32_t, 3> groups{1, 1, 1};
};

struct Cost {
  double flops = 0, bytes = 0;
};

struct Lowered {
  std::vector<Dispatch> dispatches;   // in order; hazards between them are found by the executor
  std::vector<size_t> workspaces;     // bytes; contents undefined at the node's start
  std::vector<std::vector<std::byte>> tables;  // what the kernels look up: written once, before the first run
  Cost cost;
};

struct Slice {
  int64_t first = 0, count = 0;
};

// Tensors one behind the other in one piece of storage, each where a range may be bound.
struct PackLayout {
  std::vector<size_t> offsets;        // bytes, by tensor
  size_t bytes = 0;
};
PackLayout pack_layout(std::span<const TensorDesc>, const Target&, size_t guard_bytes = 0);

class Lowering {
 public:
  Lowering(const Graph& graph, const Node& node, const Target& target, size_t guard_bytes = 0)
      : graph_(graph), node_(node), guard_bytes_(guard_bytes), target(target) {}

  const Attrs& attrs() const { return node_.attrs; }
  const TensorDesc& in_desc(int i) const { return in_parts_.count(i) ? in_parts_.at(i).desc : graph_.desc(node_.in[size_t(i)]); }
  const TensorDesc& out_desc(int i) const { return out_parts_.count(i) ? out_parts_.at(i).desc : graph_.desc(node_.out[size_t(i)]); }
  int inputs() const { return int(node_.in.size()); }
  int outputs() const { return int(node_.out.size()); }
  const std::string& label() const { return node_.label; }

  Binding in(int i) const { return in_parts_.count(i) ? in_parts_.at(i).binding : Binding{Binding::Kind::value, node_.in[size_t(i)].id, 0, in_desc(i).bytes()}; }
  Binding out(int i) const { return out_parts_.count(i) ? out_parts_.at(i).binding : Binding{Binding::Kind::value, node_.out[size_t(i)].id, 0, out_desc(i).bytes()}; }
  // Rows [first, first+count) along dimension 0.
  Binding in(int i, Slice s) const { return sliced(in(i), in_desc(i), s); }
  Binding out(int i, Slice s) const { return sliced(out(i), out_desc(i), s); }
  Binding workspace(size_t bytes);    // scratch for this node only
  Binding table(std::span<const std::byte> contents);
  // Of ops with packed tensors (OpDef::packed_inputs): how many a kind has, how they lie, and bytes of a kind's storage.
  int tensors() const;
  PackLayout packed() const;
  Binding in_pack(int kind, size_t offset, size_t bytes) const { return {Binding::Kind::value, node_.in[size_t(kind * tensors())].id, offset, bytes}; }
  Binding out_pack(int kind, size_t offset, size_t bytes) const { return {Binding::Kind::value, node_.out[size_t(kind * tensors())].id, offset, bytes}; }
  // Output i is what a state, input j, becomes: both are one storage.
  bool updates(int i, int j) const;
  // From here on input i (output i) is the tensor `desc` at `part`: for lowering a node piece by piece.
  void substitute_in(int i, Binding part, const TensorDesc& desc) { in_parts_[i] = {part, desc}; }
  void substitute_out(int i, Binding part, const TensorDesc& desc) { out_parts_[i] = {part, desc}; }

  // Cuts dimension 0 into the fewest slices whose every listed tensor stays within max_storage_range, each start on the
  // storage alignment. Usually one slice. Fails, naming the node, when a single row is too big.
  // `most`: a further limit on the rows of a slice.
  std::vector<Slice> batch_slices(const std::vector<TensorDesc>& tensors, int64_t most = INT64_MAX) const;
  // The same over flat elements, for elementwise ops: starts are multiples of 4 elements and of the alignment.
  std::vector<Slice> flat_slices(int64_t elements, size_t bytes_per_element) const;
  static Binding flat(Binding b, DType, Slice elements);

  std::string module(std::string_view stem, DType storage, bool may_use_texels = false) const;  // "stem.f16_texel"
  // For shaders that load four channels at once and have a scalar variant for other channel counts.
  std::string channel_module(std::string_view stem, DType storage, std::initializer_list<int64_t> channels, bool may_use_texels = false) const;

  template <class Push>
  void dispatch(std::string module, std::vector<uint32_t> constants, std::vector<Binding> bindings, const Push& push,
                std::array<uint32_t, 3> groups) {
    std::vector<std::byte> bytes(sizeof(Push));
    std::memcpy(bytes.data(), &push, sizeof(Push));
    result.dispatches.push_back({std::move(module), std::move(constants), std::move(bindings), std::move(bytes), groups});
  }
  // `groups` workgroups as x*y within the device's count limit; shaders read linear_group() and test it against their count.
  std::array<uint32_t, 3> linear_groups(uint64_t groups) const;

 private:
  struct Part {
    Binding binding;
    TensorDesc desc;
  };
  Binding sliced(Binding, const TensorDesc&, Slice) const;
  const Graph& graph_;
  const Node& node_;
  const size_t guard_bytes_;
  std::map<int, Part> in_parts_, out_parts_;

 public:
  const Target& target;
  Lowered result;
};

// ---- gradients are ordinary nodes -----------------------------------------------------------------------------------

class Gradient {
 public:
  Gradient(Graph& g, int node, std::vector<Value> out_grads, std::vector<bool> wanted)
      : graph(g), node_(g.nodes()[size_t(node)]), out_grads_(std::move(out_grads)), wanted_(std::move(wanted)), result(node_.in.size()) {}

  Graph& graph;
  const Attrs& attrs() const { return node_.attrs; }
  Value in(int i) const { return node_.in[size_t(i)]; }
  Value out(int i) const { return node_.out[size_t(i)]; }
  int inputs() const { return int(node_.in.size()); }
  Value grad(int i = 0) const { return out_grads_[size_t(i)]; }   // d loss / d out(i); invalid when nothing depends on it
  bool wants(int i) const { return wanted_[size_t(i)]; }
  void set(int i, Value v) { result[size_t(i)] = v; }
  // The label is the forward node's plus "/" and the suffix.
  std::vector<Value> add(const OpDef& op, Attrs attrs, std::vector<Value> in, std::string_view suffix);

 private:
  Node node_;                         // a copy: adding nodes moves the graph's own
  std::vector<Value> out_grads_;
  std::vector<bool> wanted_;

 public:
  std::vector<Value> result;          // per input
};

// ---- tests as data ------------------------------------------------------------------------------------------------

// How the tests fill an input.
struct Fill {
  enum class Kind : uint8_t { real, index, values } kind = Kind::real;
  double lo = -1, hi = 1;             // real: uniform range (integer rows use small integers instead); index: integers lo..hi
  std::vector<double> values;         // values: exactly these, repeated
  static Fill real(double lo = -1, double hi = 1) { return {Kind::real, lo, hi, {}}; }
  static Fill index(double lo, double hi) { return {Kind::index, lo, hi, {}}; }   // not differentiated
  static Fill fixed(std::vector<double> v) { return {Kind::values, 0, 0, std::move(v)}; }   // not differentiated
};

struct Case {
  std::vector<TensorDesc> in;
  Attrs attrs = {};
  std::vector<Fill> fill = {};        // empty: real(-1, 1) for all
};

// ---- the op -------------------------------------------------------------------------------------------------------

struct OpDef {
  std::string_view name;
  // Output descriptors; fails through fail("op", "'label': ...") when the inputs do not fit.
  std::vector<TensorDesc> (*shape)(const Attrs&, std::span<const TensorDesc> in, std::string_view label);
  // The definition: double, plain loops, no cleverness. `out` has its shapes already, zero-filled.
  void (*reference)(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out);
  // Adds nodes for the gradients of the wanted inputs; null: not differentiable.
  void (*grad)(Gradient&) = nullptr;
  void (*lower)(Lowering&) = nullptr;
  // Adds nodes that compute an output once more, cheaply and with the same bits, from what the backward pass keeps in any case; an
  // invalid Value where that cannot be. Null: never. See recompute().
  Value (*again)(Graph&, const Node&, int output) = nullptr;
  Cost (*cost)(const Attrs&, std::span<const TensorDesc> in, std::span<const TensorDesc> out) = nullptr;  // null: bytes moved, one FLOP an element
  std::vector<Case> (*cases)() = nullptr;
  // Choices that tuning measures beside the target's own (tuning.h); null: there is nothing to choose.
  std::vector<Attrs> (*candidates)(const Target&) = nullptr;
  // Output i may be written over the storage of input j: {i, j}. See in_place_of.
  std::vector<std::pair<int, int>> in_place = {};
  // Ops over many tensors at once: the first so many kinds of inputs and of outputs are not one value but attr `tensors` (1)
  // values in a row. The plan lays the values of a kind out as one pack, so that one launch reaches them all.
  int packed_inputs = 0, packed_outputs = 0;
  // What an image becomes depends on the others of its batch, as in batch norm's training: pieces of a batch give other results.
  bool mixes_images = false;
  // Integers in, integers out: the shader must equal the reference bit for bit on small integers.
  bool exact_on_integers = false;
  // On reals: ||shader - reference|| <= error * ||reference|| in the 2-norm, per output, f32 storage. 0: equal, always.
  double error = 1e-5;
  // f16 storage is supported and tested (with max(error, 2e-3)).
  bool half = false;
};

// Which outputs of a node may be written over which inputs: OpDef::in_place, where pairs of kinds of packed tensors stand for
// the pairs of their tensors.
std::vector<std::pair<int, int>> in_place_of(const Node&);

const OpDef* find_op(std::string_view name);
std::span<const OpDef* const> all_ops();   // graph/ops/ops.cpp: the explicit list

}  // namespace vkfer
