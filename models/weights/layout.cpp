// The order of elements on the device against torch's.
#include "models/weights/transfer.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

// Calls visit(device index, torch index) for every element.
template <class Visit>
void for_each_pair(const ValueInfo& info, Visit visit) {
  const Shape& s = info.desc.shape;
  const int64_t n = s.elements();
  if (info.state.layout == Layout::plain) {
    for (int64_t i = 0; i < n; ++i) visit(i, i);
  } else if (info.state.layout == Layout::filter) {  // [r,s,ci,co] <-> [co,ci,r,s]
    const int64_t taps = s[0] * s[1], ci = s[2], co = s[3];
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t i = 0; i < ci; ++i)
        for (int64_t o = 0; o < co; ++o) visit((t * ci + i) * co + o, (o * ci + i) * taps + t);
  } else {  // [in,out] <-> [out,in]; flattened: in = (y,x,c) <-> (c,y,x), also for vectors [in]
    const Shape& f = info.state.flatten_from;
    const int64_t c = info.state.layout == Layout::linear_flatten ? f[2] : 1, pixels = s[0] / c, out = s.rank() == 2 ? s[1] : 1;
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t k = 0; k < c; ++k)
        for (int64_t o = 0; o < out; ++o) visit((p * c + k) * out + o, o * s[0] + k * pixels + p);
  }
}

void check_count(const ValueInfo& info, size_t got) {
  if (int64_t(got) != info.desc.elements())
    fail("weights", "'{}': values: got {}, expected {}. Fix: correct the caller", info.name, got, info.desc.elements());
}

}  // namespace

std::vector<int64_t> torch_shape(const ValueInfo& info) {
  const Shape& s = info.desc.shape;
  if (info.state.layout == Layout::filter) return {s[3], s[2], s[0], s[1]};
  if (info.state.layout != Layout::plain && s.rank() == 2) return {s[1], s[0]};
  std::vector<int64_t> dims;
  for (int i = 0; i < s.rank(); ++i) dims.push_back(s[i]);
  return dims;
}

std::vector<float> to_torch(const ValueInfo& info, std::span<const float> device) {
  check_count(info, device.size());
  std::vector<float> out(device.size());
  for_each_pair(info, [&](int64_t d, int64_t t) { out[size_t(t)] = device[size_t(d)]; });
  return out;
}

std::vector<float> from_torch(const ValueInfo& info, std::span<const float> torch) {
  check_count(info, torch.size());
  std::vector<float> out(torch.size());
  for_each_pair(info, [&](int64_t d, int64_t t) { out[size_t(d)] = torch[size_t(t)]; });
  return out;
}

}  // namespace vkfer
