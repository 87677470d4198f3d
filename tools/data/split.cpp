#include "tools/data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "runtime/error.h"
#include "tools/data/philox.h"

namespace vkfer {
namespace {

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

using Ranked = std::vector<std::pair<uint64_t, Sample*>>;

void sort_by_rank(Ranked& members) {
  std::ranges::sort(members, [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : a.second->id < b.second->id; });
}

// `total` over the classes by the largest remainders of n_c * total / n, none above its `most`; where that is nothing for a class that
// has something to give, one from the largest share.
std::vector<size_t> apportion(size_t total, const std::vector<size_t>& members, const std::vector<size_t>& most, std::string_view split) {
  const uint64_t all = std::accumulate(members.begin(), members.end(), uint64_t{0});
  if (std::accumulate(most.begin(), most.end(), uint64_t{0}) < total)
    fail("split", "{} images for {} are more than there are, with one of each class for train. Fix: smaller --counts or --fractions", total, split);
  std::vector<size_t> shares(members.size());
  std::vector<std::pair<uint64_t, size_t>> remainders;
  size_t given = 0;
  for (size_t c = 0; c < members.size(); ++c) {
    shares[c] = std::min<size_t>(most[c], size_t(uint64_t(members[c]) * total / all));
    given += shares[c];
    remainders.emplace_back(uint64_t(members[c]) * total % all, c);
  }
  std::ranges::stable_sort(remainders, std::greater{}, &std::pair<uint64_t, size_t>::first);
  while (given < total)
    for (const auto& [remainder, c] : remainders)
      if (given < total && shares[c] < most[c]) ++shares[c], ++given;
  for (size_t c = 0; c < shares.size(); ++c) {
    const auto largest = std::ranges::max_element(shares);
    if (shares[c] == 0 && most[c] > 0 && *largest > 1) --*largest, ++shares[c];
  }
  return shares;
}

}  // namespace

uint64_t rank_of(const Sample& sample, uint64_t seed, uint32_t purpose) {
  const uint64_t hash = hash_of(sample.id);
  const Philox4 random = philox4x32({purpose, uint32_t(hash), uint32_t(hash >> 32), uint32_t(PhiloxStream::split)}, {uint32_t(seed), uint32_t(seed >> 32)});
  return uint64_t{random[0]} << 32 | random[1];
}

void hold_out(std::span<Sample> samples, Split from, Split to, double fraction, uint64_t seed) {
  if (fraction <= 0) return;
  std::map<int, Ranked> classes;
  for (Sample& sample : samples)
    if (sample.split == from) classes[sample.label].emplace_back(rank_of(sample, seed, uint32_t(to)), &sample);
  for (auto& [label, members] : classes) {
    sort_by_rank(members);
    auto count = static_cast<size_t>(std::floor(static_cast<double>(members.size()) * fraction + 0.5));
    if (members.size() >= 3) count = std::clamp<size_t>(count, 1, members.size() - 1);
    for (size_t i = 0; i < std::min(count, members.size()); ++i) members[i].second->split = to;
  }
}

void stratify(std::span<Sample> samples, const SplitSizes& sizes, uint64_t seed) {
  if (sizes.train + sizes.val + sizes.test > samples.size())
    fail("split", "{} + {} + {} images, but there are {}", sizes.train, sizes.val, sizes.test, samples.size());
  std::map<int, Ranked> classes;
  for (Sample& sample : samples) {
    sample.split = Split::unassigned;
    classes[sample.label].emplace_back(rank_of(sample, seed, uint32_t(Split::test)), &sample);
  }
  std::vector<size_t> members, left;
  for (auto& [label, ranked] : classes) sort_by_rank(ranked), members.push_back(ranked.size());
  left = members;
  std::vector<size_t> next(members.size());
  const size_t kept = sizes.train > 0;  // of each class, for train
  const auto give = [&](Split split, size_t total, size_t keep, std::string_view name) {
    std::vector<size_t> most;
    for (const size_t n : left) most.push_back(n - std::min(n, keep));
    const std::vector<size_t> shares = apportion(total, members, most, name);
    size_t c = 0;
    for (auto& [label, ranked] : classes) {
      for (size_t i = 0; i < shares[c]; ++i) ranked[next[c]++].second->split = split;
      left[c] -= shares[c], ++c;
    }
  };
  give(Split::test, sizes.test, kept, "test");
  give(Split::val, sizes.val, kept, "val");
  give(Split::train, sizes.train, 0, "train");
}

}  // namespace vkfer
