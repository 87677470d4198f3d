#pragma once
// Small helpers shared by the op families: input checks that name the node, common shape functions, lowering of flat ops.
#include <algorithm>
#include <cstddef>

#include "graph/op.h"
#include "graph/tuning.h"
#include "runtime/error.h"

namespace vkfer::ops {

// Checks of a node's inputs inside OpDef::shape. Every failure names the op, the node and the input.
//   InputCheck check("max_pool", label, in);
//   check.count(1);  check.rank(0, "x", 4);  check.same_shape(1, "dy", 0, "x");
class InputCheck {
 public:
  InputCheck(std::string_view op, std::string_view label, std::span<const TensorDesc> in)
      : op_(op), label_(label), in_(in) {}

  void count(size_t expected) const { count(expected, expected); }
  void count(size_t least, size_t most) const {
    if (in_.size() < least || in_.size() > most)
      fail(op_, "'{}': got {} inputs, expected {}. Fix: give the op the inputs that graph/ops/ops.h lists.", label_,
           in_.size(), least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most));
  }
  void rank(size_t i, std::string_view name, int expected) const {
    if (in_[i].shape.rank() != expected)
      fail(op_, "'{}': {} has rank {} ({}), expected {}. Fix: flatten or reshape it first.", label_, name,
           in_[i].shape.rank(), in_[i].to_string(), expected);
  }
  void shape(size_t i, std::string_view name, const Shape& expected) const {
    if (in_[i].shape != expected)
      fail(op_, "'{}': {} is {}, expected {}. Fix: check the layers that feed it.", label_, name, in_[i].to_string(),
           expected.to_string());
  }
  void same_shape(size_t i, std::string_view name, size_t as, std::string_view as_name) const {
    if (in_[i].shape != in_[as].shape)
      fail(op_, "'{}': {} is {}, expected the shape of {}: {}. Fix: check the layers that feed it.", label_, name,
           in_[i].to_string(), as_name, in_[as].to_string());
  }
  void same_type(size_t i, std::string_view name, size_t as, std::string_view as_name) const {
    if (in_[i].dtype != in_[as].dtype)
      fail(op_, "'{}': {} is stored as {}, expected {} as {}. Fix: insert a cast.", label_, name,
           dtype_name(in_[i].dtype), dtype_name(in_[as].dtype), as_name);
  }
  void dtype(size_t i, std::string_view name, DType expected) const {
    if (in_[i].dtype != expected)
      fail(op_, "'{}': {} is stored as {}, expected {}. Fix: insert a cast.", label_, name, dtype_name(in_[i].dtype),
           dtype_name(expected));
  }
  // f32 or f16: what activations are stored as.
  void storage(size_t i, std::string_view name) const {
    if (in_[i].dtype != DType::f32 && in_[i].dtype != DType::f16)
      fail(op_, "'{}': {} is stored as {}, expected f32 or f16. Fix: insert a cast.", label_, name,
           dtype_name(in_[i].dtype));
  }
  // Inputs 0 to 2 of what compares numbers with targets: prediction [n,k], and target and mask like it, all f32.
  void masked_comparison() const {
    dtype(0, "prediction", DType::f32);
    rank(0, "prediction", 2);
    not_empty(0, "prediction");
    for (size_t i = 1; i < 3; ++i) {
      const char* name = i == 1 ? "target" : "mask";
      same_shape(i, name, 0, "prediction");
      dtype(i, name, DType::f32);
    }
  }
  void not_empty(size_t i, std::string_view name) const {
    if (in_[i].elements() <= 0)
      fail(op_, "'{}': {} is empty ({}). Fix: every size must be at least 1.", label_, name, in_[i].to_string());
  }
  // Inputs that must be alike: f32 or f16, of one shape and one storage type.
  void alike(std::initializer_list<std::string_view> names) const {
    count(names.size());
    size_t i = 0;
    for (auto name : names) {
      if (i == 0)
        storage(0, name), not_empty(0, name);
      else
        same_shape(i, name, 0, *names.begin()), same_type(i, name, 0, *names.begin());
      ++i;
    }
  }
  template <class... Args>
  void require(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) fail(op_, "'{}': {}", label_, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string_view op_, label_;
  std::span<const TensorDesc> in_;
};

// Workgroup for shaders/include/workgroup_sum.glsl: a power of two.
inline uint32_t tree_workgroup(const Lowering& l) {
  uint32_t size = 1;
  while (size * 2 <= std::min(l.target.workgroup, l.target.max_invocations)) size *= 2;
  return size;
}

// A string as a template argument, so that shared shape functions name their op: .shape = same_shape<"relu">
template <size_t N>
struct OpName {
  char text[N];
  constexpr OpName(const char (&s)[N]) { std::copy_n(s, N, text); }
};

// (x) -> like x
template <OpName kOp>
std::vector<TensorDesc> same_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck(kOp.text, label, in).alike({"x"});
  return {in[0]};
}

// Attr `function` as its place in a table of things with a name; fails listing the names.
template <class Function, size_t N>
uint32_t function_number(const Function (&table)[N], const Attrs& attrs, std::string_view op, std::string_view label) {
  const std::string name = attrs.text("function", "");
  for (const Function& f : table)
    if (name == f.name) return uint32_t(&f - table);
  std::string names;
  for (const Function& f : table) names += fmt::format("{}{}", names.empty() ? "" : ", ", f.name);
  fail(op, "'{}': got function='{}', expected one of {}. Fix: correct the attribute.", label, name, names);
}

// For OpDef::again: the same node once more.
inline Value same_again(Graph& g, const Node& n, int output) {
  return g.add(*n.op, n.attrs, n.in, n.label + "/again")[size_t(output)];
}

// For OpDef::candidates.
inline std::vector<Attrs> joined(std::initializer_list<std::vector<Attrs>> lists) {
  std::vector<Attrs> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

constexpr double kGray[3] = {0.299, 0.587, 0.114};  // ITU-R BT.601 luma: what red, green and blue are worth as gray

inline int64_t divide_round_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Bytes that move and `flops_per_element` for every element of the first output.
template <int kFlopsPerElement>
Cost elementwise_cost(const Attrs&, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost cost{double(kFlopsPerElement) * double(out[0].elements()), 0};
  for (const auto& t : in) cost.bytes += double(t.bytes());
  for (const auto& t : out) cost.bytes += double(t.bytes());
  return cost;
}

// Workgroups of a launch in which every invocation handles vectors_per_invocation of `units` work items.
inline std::array<uint32_t, 3> groups_for(const Lowering& l, int64_t units) {
  return l.linear_groups(
      uint64_t(divide_round_up(units, int64_t(l.target.workgroup) * l.target.vectors_per_invocation)));
}
// The same with one work item an invocation.
inline std::array<uint32_t, 3> groups_for_single(const Lowering& l, int64_t items) {
  return l.linear_groups(uint64_t(divide_round_up(items, int64_t(l.target.workgroup))));
}

// One launch per slice over all elements of the first output, for shaders built on shaders/include/flat.glsl.
// The first `flat_inputs` inputs and all outputs are cut alike; the other inputs are bound whole. Constants: workgroup size,
// vec4 per invocation, ragged, then `selectors`. make_push(slice) gives the push constants of a slice.
template <class MakePush>
void lower_flat(Lowering& l, const std::string& module, int flat_inputs, std::vector<uint32_t> selectors,
                MakePush make_push) {
  size_t bytes_per_element = 1;
  for (int i = 0; i < flat_inputs; ++i)
    bytes_per_element = std::max(bytes_per_element, dtype_bytes(l.in_desc(i).dtype));
  for (int i = 0; i < l.outputs(); ++i)
    bytes_per_element = std::max(bytes_per_element, dtype_bytes(l.out_desc(i).dtype));
  for (Slice s : l.flat_slices(l.out_desc(0).elements(), bytes_per_element)) {
    std::vector<Binding> bindings;
    for (int i = 0; i < l.inputs(); ++i)
      bindings.push_back(i < flat_inputs ? Lowering::flat(l.in(i), l.in_desc(i).dtype, s) : l.in(i));
    for (int i = 0; i < l.outputs(); ++i) bindings.push_back(Lowering::flat(l.out(i), l.out_desc(i).dtype, s));
    std::vector<uint32_t> constants{l.target.workgroup, l.target.vectors_per_invocation, uint32_t(s.count % 4 != 0)};
    constants.insert(constants.end(), selectors.begin(), selectors.end());
    l.dispatch(module, std::move(constants), std::move(bindings), make_push(s),
               groups_for(l, divide_round_up(s.count, 4)));
  }
}

// Channels of a unit for shaders built on shaders/include/units.glsl: 4 where they come in fours.
inline int64_t unit_channels(int64_t channels) { return channels % 4 == 0 ? 4 : 1; }

// ---- short names for the rows of cases() ----
inline TensorDesc f32(const Shape& shape) { return {shape, DType::f32}; }
inline TensorDesc f16(const Shape& shape) { return {shape, DType::f16}; }
inline TensorDesc i32(const Shape& shape) { return {shape, DType::i32}; }
inline TensorDesc u8(const Shape& shape) { return {shape, DType::u8}; }
using Integers = std::vector<int64_t>;
using Numbers = std::vector<double>;

}  // namespace vkfer::ops
