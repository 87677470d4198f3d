#include <algorithm>
#include <numeric>

#include "graph/op.h"
#include "runtime/error.h"

namespace vkfer {

namespace {
constexpr std::pair<Engine, const char*> kEngines[] = {
    {Engine::direct, "direct"}, {Engine::subgroup, "subgroup"}, {Engine::shared, "shared"}, {Engine::coopmat, "coopmat"}};
}

const char* engine_name(Engine e) {
  for (auto [engine, name] : kEngines)
    if (engine == e) return name;
  return "?";
}

Engine engine_from_name(std::string_view s) {
  for (auto [engine, name] : kEngines)
    if (s == name) return engine;
  fail("engine", "unknown engine: got '{}', expected direct, subgroup, shared or coopmat", s);
}

std::string Target::to_string() const {
  return fmt::format("engine={} subgroup={} workgroup={} vectors={} parallel={} shared={} range={} align={} groups={} texel={} scalar={}{}",
                     engine_name(engine), subgroup_size, workgroup, vectors_per_invocation, parallel_groups, shared_memory_bytes,
                     max_storage_range, storage_alignment, max_groups, int(texel), int(scalar_loads),
                     engine == Engine::coopmat ? fmt::format(" matrix={}", fmt::join(matrix, "x")) : "");
}

Binding Lowering::workspace(size_t bytes) {
  bytes = (bytes + 3) / 4 * 4;
  result.workspaces.push_back(bytes);
  return {Binding::Kind::workspace, int(result.workspaces.size()) - 1, 0, bytes};
}

Binding Lowering::table(std::span<const std::byte> contents) {
  result.tables.emplace_back(contents.begin(), contents.end());
  return {Binding::Kind::table, int(result.tables.size()) - 1, 0, contents.size()};
}

PackLayout pack_layout(std::span<const TensorDesc> tensors, const Target& target, size_t guard_bytes) {
  const size_t alignment = std::max<size_t>(target.storage_alignment, 16);
  PackLayout layout;
  for (const TensorDesc& t : tensors) {
    layout.offsets.push_back(layout.bytes);
    layout.bytes += (t.bytes() + guard_bytes + alignment - 1) / alignment * alignment;
  }
  return layout;
}

namespace {
int tensors_of(const Node& node) { return int(node.attrs.integer("tensors", 1)); }
}  // namespace

int Lowering::tensors() const { return tensors_of(node_); }

PackLayout Lowering::packed() const {
  std::vector<TensorDesc> tensors;
  for (int i = 0; i < this->tensors(); ++i) tensors.push_back(in_desc(i));
  return pack_layout(tensors, target, guard_bytes_);
}

bool Lowering::updates(int i, int j) const {
  const auto& all = graph_.updates();
  return std::any_of(all.begin(), all.end(), [&](const Update& u) { return u.state == node_.in[size_t(j)] && u.value == node_.out[size_t(i)]; });
}

std::vector<std::pair<int, int>> in_place_of(const Node& node) {
  const int n = tensors_of(node);
  const auto first = [n](int kind, int packed) { return kind < packed ? kind * n : packed * n + kind - packed; };
  std::vector<std::pair<int, int>> pairs;
  for (auto [out, in] : node.op->in_place)
    for (int i = 0; i < (out < node.op->packed_outputs ? n : 1); ++i)
      pairs.push_back({first(out, node.op->packed_outputs) + i, first(in, node.op->packed_inputs) + i});
  return pairs;
}

Binding Lowering::sliced(Binding b, const TensorDesc& desc, Slice s) const {
  const size_t row = size_t(desc.elements() / desc.shape[0]) * dtype_bytes(desc.dtype);
  b.offset += size_t(s.first) * row;
  b.bytes = (size_t(s.count) * row + 3) / 4 * 4;
  return b;
}

Binding Lowering::flat(Binding b, DType t, Slice s) {
  b.offset += size_t(s.first) * dtype_bytes(t);
  b.bytes = (size_t(s.count) * dtype_bytes(t) + 3) / 4 * 4;
  return b;
}

namespace {

// [0, count) in steps of at most `limit`, each start a multiple of `step`.
std::vector<Slice> cut(int64_t count, int64_t limit, int64_t step) {
  std::vector<Slice> slices;
  const int64_t size = limit >= count ? count : limit / step * step;
  for (int64_t first = 0; first < count; first += size) slices.push_back({first, std::min(size, count - first)});
  return slices;
}

}  // namespace

std::vector<Slice> Lowering::batch_slices(const std::vector<TensorDesc>& tensors, int64_t most) const {
  const int64_t n = tensors.front().shape[0];
  int64_t limit = std::min(n, most), step = 1;
  for (const TensorDesc& t : tensors) {
    const size_t row = size_t(t.elements() / std::max<int64_t>(n, 1)) * dtype_bytes(t.dtype);
    if (!row) continue;
    limit = std::min<int64_t>(limit, int64_t(target.max_storage_range / row));
    step = std::lcm(step, int64_t(target.storage_alignment / std::gcd(target.storage_alignment, row)));
  }
  if (limit < n && limit < step)
    fail("plan", "'{}': one image of {} takes more than the device binds at once ({} bytes). Fix: use a smaller --size", label(),
         tensors.front().to_string(), target.max_storage_range);
  return cut(n, limit, step);
}

std::vector<Slice> Lowering::flat_slices(int64_t elements, size_t bytes_per_element) const {
  const int64_t step = std::max<int64_t>(4, int64_t(target.storage_alignment));
  return cut(elements, int64_t(target.max_storage_range / bytes_per_element), step);
}

std::string Lowering::module(std::string_view stem, DType storage, bool may_use_texels) const {
  return fmt::format("{}.{}{}", stem, dtype_name(storage), may_use_texels && target.texel ? "_texel" : "");
}

std::string Lowering::channel_module(std::string_view stem, DType storage, std::initializer_list<int64_t> channels, bool may_use_texels) const {
  for (int64_t c : channels)
    if (c % 4) return fmt::format("{}.{}_scalar", stem, dtype_name(storage));
  return module(stem, storage, may_use_texels);
}

std::array<uint32_t, 3> Lowering::linear_groups(uint64_t groups) const {
  if (groups <= target.max_groups) return {uint32_t(groups), 1, 1};
  const uint64_t y = (groups + target.max_groups - 1) / target.max_groups;
  const uint64_t x = (groups + y - 1) / y;
  if (y > target.max_groups) fail("plan", "'{}' needs {} workgroups, more than the device runs. Fix: use a smaller --batch", label(), groups);
  return {uint32_t(x), uint32_t(y), 1};
}

}  // namespace vkfer
