#include "graph/exchange.h"

#include <algorithm>
#include <cstring>

namespace vkfer {
namespace {

constexpr size_t kAlignment = 256;  // no device asks for more

// Where the next piece begins.
size_t after(size_t offset, size_t bytes) { return (offset + bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Exchange::Exchange(Device& device, const Graph& graph, const Plan& plan) {
  const bool unified = device.info().unified_memory;
  size_t upload_bytes = 0, readback_bytes = 0;
  for (size_t v = 0; v < graph.values().size(); ++v) {
    const ValueInfo& info = graph.values()[v];
    const size_t bytes = info.desc.bytes();
    if (info.role == Role::input) {
      inputs_[int(v)] = {upload_bytes, bytes, unified && !plan.packed[v]};
      input_values_.push_back({int(v)});
      upload_bytes = after(upload_bytes, bytes);
    } else if (info.output && info.role == Role::computed && bytes <= kReadbackBytes) {
      outputs_[int(v)] = {readback_bytes, bytes};
      output_values_.push_back({int(v)});
      readback_bytes = after(readback_bytes, bytes);
    }
  }
  for (size_t half = 0; half < kHalves; ++half) {
    if (upload_bytes) uploads_[half] = device.buffer(upload_bytes, unified ? Usage::device : Usage::upload, "upload");
    if (readback_bytes) readbacks_[half] = device.buffer(readback_bytes, Usage::readback, "readback");
    poison(half, 0);
  }
}

Region Exchange::upload(size_t half, Value v) {
  const Piece& p = inputs_.at(v.id);
  return {&uploads_[half], p.offset, p.bytes};
}

Region Exchange::readback(size_t half, Value v) {
  const Piece& p = outputs_.at(v.id);
  return {&readbacks_[half], p.offset, p.bytes};
}

void Exchange::write(size_t half, Value v, std::span<const std::byte> bytes) {
  Piece& p = inputs_.at(v.id);
  if (!bytes.empty()) std::memcpy(uploads_[half].mapped() + p.offset, bytes.data(), bytes.size());
  p.newest = int(half);
  p.fresh = {};
  p.fresh[half] = true;
}

void Exchange::freshen(size_t half) {
  for (auto& [id, p] : inputs_) {
    if (p.newest < 0 || p.fresh[half] || p.bytes == 0) continue;
    std::memcpy(uploads_[half].mapped() + p.offset, uploads_[size_t(p.newest)].mapped() + p.offset, p.bytes);
    p.fresh[half] = true;
  }
}

void Exchange::poison(size_t half, uint32_t word) {
  if (!uploads_[half].bytes()) return;
  auto* words = reinterpret_cast<uint32_t*>(uploads_[half].mapped());
  std::fill_n(words, uploads_[half].bytes() / sizeof(uint32_t), word);
  for (auto& [id, p] : inputs_) p.newest = -1, p.fresh = {};
}

std::span<const std::byte> Exchange::output(size_t half, Value v) const {
  const Piece& p = outputs_.at(v.id);
  return {readbacks_[half].mapped() + p.offset, p.bytes};
}

std::span<const std::byte> Exchange::input(Value v) const {
  const Piece& p = inputs_.at(v.id);
  if (p.newest < 0) return {};
  return {uploads_[size_t(p.newest)].mapped() + p.offset, p.bytes};
}

}  // namespace vkfer
