#pragma once
// Tensors of different shapes and strides walked together: shaders/params/strided.h.
#include "graph/op.h"
#include "shaders/params/strided.h"

namespace vkfer::ops {

// Sizes of dimensions, the outermost first, and for every tensor its strides along them, in elements.
struct Walk {
  std::vector<int64_t> sizes;
  std::vector<std::vector<int64_t>> strides;   // [tensor][dimension]

  int64_t elements() const;
  // Drops dimensions of one element and joins neighbours that every tensor walks as one. At least one dimension remains.
  Walk joined() const;
  // Tensor's elements lie in fours, side by side and on multiples of 4, when the walk is taken four elements at a time.
  bool packed(size_t tensor) const;
  bool in_fours() const { return sizes.back() % 4 == 0; }
};

std::vector<int64_t> sizes_of(const Shape&);
// Row-major strides.
std::vector<int64_t> strides_of(const Shape&);
// Strides of a tensor of this shape seen as one of `whole`, as numpy broadcasts: 0 along dimensions that it has not, or of size 1.
std::vector<int64_t> broadcast_strides(const Shape&, const Shape& whole);
// The shape of a and b broadcast together; fails, naming the node, when they do not fit.
Shape broadcast_shape(std::string_view op, std::string_view label, const Shape& a, const Shape& b);
// The shape of a part of a tensor with `rows` along dimension 0.
Shape with_rows(Shape, int64_t rows);

// The sum of v over the dimensions along which `like` was broadcast to v's shape: a gradient's way back.
Value summed_to(Gradient&, Value v, Value like, std::string_view suffix);

Binding walk_table(Lowering&, const Walk&);   // of up to three tensors
// Fails, naming the node, where a tensor is larger than the device binds at once.
void require_bindable(const Lowering&, std::initializer_list<TensorDesc>);

// A short loop an invocation, as many workgroups as are left: for shaders with push constants `units` and `per_invocation`.
uint32_t units_per_invocation(const Lowering&, int64_t units);
std::array<uint32_t, 3> groups_for_units(const Lowering&, int64_t units, uint32_t per_invocation);

// Function `number` of shaders/params/functions.h on input 0, all of whose 32-bit words become output 0's; unary.cpp.
void lower_unary(Lowering&, uint32_t number, bool integer);

// visit(offsets of every tensor) for every element of the walk, in order. For references.
template <class Visit>
void for_each_place(const Walk& w, Visit visit) {
  const size_t rank = w.sizes.size(), tensors = w.strides.size();
  std::vector<int64_t> at(rank, 0), offsets(tensors, 0);
  for (int64_t left = w.elements(); left > 0; --left) {
    visit(offsets);
    for (size_t d = rank; d-- > 0;) {
      const bool carry = ++at[d] == w.sizes[d];
      for (size_t t = 0; t < tensors; ++t) offsets[t] += carry ? -(w.sizes[d] - 1) * w.strides[t][d] : w.strides[t][d];
      if (!carry) break;
      at[d] = 0;
    }
  }
}

}  // namespace vkfer::ops
