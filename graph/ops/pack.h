#pragma once
// Lowering of ops over packed tensors (OpDef::packed_inputs), for shaders built on shaders/include/pack.glsl.
#include "graph/op.h"
#include "shaders/params/pack.h"

namespace vkfer::ops {

// A launch reaches one range of bytes of every kind's pack: all of it, where the device binds so much.
struct PackLaunch {
  size_t offset = 0, bytes = 0;                  // of the pack
  std::vector<params::PackRange> ranges;
  bool ragged = false;                           // some range is no multiple of 4 elements
  uint32_t groups = 0;
};

// Factors by tensor; empty: all 1.
std::vector<PackLaunch> pack_launches(const Lowering&, std::span<const double> rate_factors = {},
                                      std::span<const double> decay_factors = {});

// For kernels that write over an input what output `out` is to be: where that is no state's update, the graph goes on with the old
// value, and the kernel works on a copy, made here.
void copy_unless_updated(Lowering&, int out, int in);

// Fails unless there are `kinds` times attr `tensors` inputs, all f32 and not empty, each kind shaped as the first, and then
// between `least` and `most` others. Returns `tensors`.
class InputCheck;
size_t check_packed(const InputCheck&, const Attrs&, std::span<const TensorDesc> in, std::initializer_list<std::string_view> kinds,
                    size_t least, size_t most);

// FLOPs of the elements of the first kind; bytes of everything.
template <int kFlopsPerElement>
Cost packed_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost cost;
  for (int64_t i = 0; i < attrs.integer("tensors", 1); ++i) cost.flops += kFlopsPerElement * double(in[size_t(i)].elements());
  for (const TensorDesc& t : in) cost.bytes += double(t.bytes());
  for (const TensorDesc& t : out) cost.bytes += double(t.bytes());
  return cost;
}

}  // namespace vkfer::ops
