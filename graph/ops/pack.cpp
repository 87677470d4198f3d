#include "graph/ops/pack.h"

#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"

namespace vkfer::ops {

std::vector<PackLaunch> pack_launches(const Lowering& l, std::span<const double> rate_factors, std::span<const double> decay_factors) {
  const PackLayout layout = l.packed();
  const int64_t group_elements = 4 * int64_t(l.target.workgroup) * l.target.vectors_per_invocation;
  // Where a tensor is cut, the next launch's range must begin on the device's alignment.
  const size_t step = std::max<size_t>(l.target.storage_alignment, 16), limit = l.target.max_storage_range / step * step;
  if (limit == 0) fail("plan", "'{}': the device binds at most {} bytes. Fix: use another device", l.label(), l.target.max_storage_range);
  std::vector<PackLaunch> launches;
  for (size_t t = 0; t < layout.offsets.size(); ++t) {
    const size_t count = size_t(l.in_desc(int(t)).elements());
    for (size_t done = 0; done < count;) {
      const size_t at = layout.offsets[t] + 4 * done;
      if (launches.empty() || at + step > launches.back().offset + limit) launches.push_back({.offset = at});
      PackLaunch& launch = launches.back();
      const size_t room = (launch.offset + limit - at) / 4, take = std::min(count - done, room);
      launch.ranges.push_back({launch.groups, uint32_t((at - launch.offset) / 16), uint32_t(take),
                               rate_factors.empty() ? 1.0f : float(rate_factors[t]),
                               decay_factors.empty() ? 1.0f : float(decay_factors[t])});
      launch.groups += uint32_t(divide_round_up(int64_t(take), group_elements));
      launch.ragged |= take % 4 != 0;
      launch.bytes = at + 4 * take - launch.offset;
      done += take;
    }
  }
  return launches;
}

void copy_unless_updated(Lowering& l, int out, int in) {
  if (l.updates(out, in)) return;
  for (Slice s : l.flat_slices(l.in_desc(in).elements(), sizeof(float)))
    l.dispatch("cast.f32", {l.target.workgroup, l.target.vectors_per_invocation, uint32_t(s.count % 4 != 0), 0, 0},
               {Lowering::flat(l.in(in), DType::f32, s), Lowering::flat(l.out(out), DType::f32, s)},
               params::Flat{uint32_t(s.count), 1}, groups_for(l, divide_round_up(s.count, 4)));
}

size_t check_packed(const InputCheck& check, const Attrs& attrs, std::span<const TensorDesc> in,
                    std::initializer_list<std::string_view> kinds, size_t least, size_t most) {
  const int64_t n = attrs.integer("tensors", 1);
  check.require(n >= 1 && n <= 100000, "got tensors={}, expected 1 or more. Fix: correct the attribute.", n);
  check.count(kinds.size() * size_t(n) + least, kinds.size() * size_t(n) + most);
  size_t i = 0;
  for (const std::string_view kind : kinds)
    for (size_t t = 0; t < size_t(n); ++t, ++i) {
      check.dtype(i, kind, DType::f32);
      if (i < size_t(n)) check.not_empty(i, kind);
      else check.same_shape(i, kind, t, *kinds.begin());
    }
  return size_t(n);
}

}  // namespace vkfer::ops
