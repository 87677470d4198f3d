#include "graph/ops/strided.h"

#include <algorithm>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"

namespace vkfer::ops {

int64_t Walk::elements() const {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}

Walk Walk::joined() const {
  Walk w;
  w.strides.resize(strides.size());
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == 1) continue;
    bool joins = !w.sizes.empty();
    for (size_t t = 0; t < strides.size() && joins; ++t) joins = w.strides[t].back() == strides[t][d] * sizes[d];
    if (joins) w.sizes.back() *= sizes[d];
    else w.sizes.push_back(sizes[d]);
    for (size_t t = 0; t < strides.size(); ++t) {
      if (joins) w.strides[t].back() = strides[t][d];
      else w.strides[t].push_back(strides[t][d]);
    }
  }
  if (w.sizes.empty()) {
    w.sizes.push_back(1);
    for (auto& s : w.strides) s.push_back(1);
  }
  return w;
}

bool Walk::packed(size_t tensor) const {
  const std::vector<int64_t>& s = strides[tensor];
  return s.back() == 1 && std::all_of(s.begin(), s.end() - 1, [](int64_t stride) { return stride % 4 == 0; });
}

std::vector<int64_t> sizes_of(const Shape& s) {
  std::vector<int64_t> v;
  for (int i = 0; i < s.rank(); ++i) v.push_back(s[i]);
  return v;
}

std::vector<int64_t> strides_of(const Shape& s) {
  std::vector<int64_t> v(size_t(s.rank()), 1);
  for (int i = s.rank() - 2; i >= 0; --i) v[size_t(i)] = v[size_t(i) + 1] * s[i + 1];
  return v;
}

std::vector<int64_t> broadcast_strides(const Shape& s, const Shape& whole) {
  const std::vector<int64_t> own = strides_of(s);
  std::vector<int64_t> v(size_t(whole.rank()), 0);
  const int lead = whole.rank() - s.rank();
  for (int i = 0; i < s.rank(); ++i)
    if (s[i] != 1) v[size_t(lead + i)] = own[size_t(i)];
  return v;
}

Shape broadcast_shape(std::string_view op, std::string_view label, const Shape& a, const Shape& b) {
  std::vector<int64_t> sizes;
  const int rank = std::max(a.rank(), b.rank());
  for (int i = 0; i < rank; ++i) {
    const int64_t s = i < rank - a.rank() ? 1 : a[i - rank + a.rank()], t = i < rank - b.rank() ? 1 : b[i - rank + b.rank()];
    if (s != t && s != 1 && t != 1)
      fail(op, "'{}': got {} and {}, expected sizes that are equal or 1 in every dimension. Fix: check the layers that feed it.", label,
           a.to_string(), b.to_string());
    sizes.push_back(s == 1 ? t : s);
  }
  return Shape(sizes);
}

Shape with_rows(Shape s, int64_t rows) {
  if (s.rank()) s[0] = rows;
  return s;
}

Value summed_to(Gradient& g, Value v, Value like, std::string_view suffix) {
  const Shape from = g.graph.shape(v), to = g.graph.shape(like);
  if (from == to) return v;
  std::vector<int64_t> axes;
  const int lead = from.rank() - to.rank();
  for (int i = 0; i < from.rank(); ++i)
    if (i < lead || (to[i - lead] == 1 && from[i] != 1)) axes.push_back(i);
  if (!axes.empty()) v = g.add(reduce, {{"function", "sum"}, {"axes", axes}, {"keepdims", 1}}, {v}, suffix)[0];
  return g.graph.shape(v) == to ? v : g.add(reshape, {{"shape", sizes_of(to)}}, {v}, fmt::format("{}_shape", suffix))[0];
}

Binding walk_table(Lowering& l, const Walk& w) {
  std::vector<params::StridedDim> dims;
  for (size_t d = w.sizes.size(); d-- > 0;) {
    const auto stride = [&](size_t tensor) { return tensor < w.strides.size() ? int(w.strides[tensor][d]) : 0; };
    dims.push_back({params::divisor(w.sizes[d]), stride(0), stride(1), stride(2)});
  }
  return l.table(std::as_bytes(std::span<const params::StridedDim>(dims)));
}

void require_bindable(const Lowering& l, std::initializer_list<TensorDesc> tensors) {
  for (const TensorDesc& t : tensors)
    if (t.bytes() > l.target.max_storage_range)
      fail("plan", "'{}': {} takes more than the device binds at once ({} bytes). Fix: use a smaller --batch or --size", l.label(), t.to_string(),
           l.target.max_storage_range);
}

uint32_t units_per_invocation(const Lowering& l, int64_t units) {
  const int64_t filled = int64_t(l.target.parallel_groups) * l.target.workgroup;
  return uint32_t(std::clamp<int64_t>(units / std::max<int64_t>(filled, 1), 1, l.target.vectors_per_invocation));
}

std::array<uint32_t, 3> groups_for_units(const Lowering& l, int64_t units, uint32_t per_invocation) {
  return l.linear_groups(uint64_t(divide_round_up(units, int64_t(l.target.workgroup) * per_invocation)));
}

}  // namespace vkfer::ops
