#include "tools/data/split.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "tools/data/philox.h"

namespace vkfer {
namespace {

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

uint64_t rank_of(const Sample& sample, uint64_t seed, Split to) {
  const uint64_t hash = hash_of(sample.id);
  const Philox4 random = philox4x32(
      {static_cast<uint32_t>(to), uint32_t(hash), uint32_t(hash >> 32), uint32_t(PhiloxStream::split)},
      {uint32_t(seed), uint32_t(seed >> 32)});
  return uint64_t{random[0]} << 32 | random[1];
}

}  // namespace

void hold_out(std::span<Sample> samples, Split from, Split to, double fraction, uint64_t seed) {
  if (fraction <= 0) return;
  std::map<int, std::vector<std::pair<uint64_t, Sample*>>> classes;
  for (Sample& sample : samples)
    if (sample.split == from) classes[sample.label].emplace_back(rank_of(sample, seed, to), &sample);
  for (auto& [label, members] : classes) {
    std::ranges::sort(members, [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : a.second->id < b.second->id;
    });
    auto count = static_cast<size_t>(std::floor(static_cast<double>(members.size()) * fraction + 0.5));
    if (members.size() >= 3) count = std::clamp<size_t>(count, 1, members.size() - 1);
    for (size_t i = 0; i < std::min(count, members.size()); ++i) members[i].second->split = to;
  }
}

}  // namespace vkfer
