#include "tools/data/inspect.h"

#include <algorithm>
#include <set>

#include "runtime/error.h"

namespace vkfer {
namespace {

// FNV-1a, twice with different beginnings: 128 bits, so that no two pictures of any data set are mistaken for equal by chance.
using Hash = std::pair<uint64_t, uint64_t>;

Hash hash_of(const Image& image) {
  Hash h{14695981039346656037ull, 0x9E3779B97F4A7C15ull};
  const auto mix = [&](uint64_t v) {
    h.first = (h.first ^ v) * 1099511628211ull;
    h.second = (h.second ^ (v + 0x632BE59BD9B4E019ull)) * 0xD6E8FEB86659FD93ull;
    h.second ^= h.second >> 32;
  };
  mix(uint64_t(image.height)), mix(uint64_t(image.width)), mix(uint64_t(image.channels));
  for (const uint8_t p : image.pixels) mix(p);
  return h;
}

bool is_constant(const Image& image) {
  const size_t c = size_t(image.channels);
  for (size_t i = c; i < image.pixels.size(); ++i)
    if (image.pixels[i] != image.pixels[i - c]) return false;
  return true;
}

}  // namespace

const char* split_name(Split s) {
  static constexpr const char* kNames[] = {"train", "val", "test", "PublicTest", "PrivateTest", "unassigned"};
  return kNames[size_t(s)];
}

Inspection inspect(const Dataset& dataset, const std::function<void(size_t, size_t)>& progress) {
  Inspection found;
  found.unreadable = dataset.contents().bad_rows;
  std::map<Hash, std::vector<size_t>> pictures;
  for (size_t i = 0; i < dataset.size(); ++i) {
    const Sample& s = dataset.sample(i);
    auto& counts = found.counts[split_name(s.split)];
    counts.resize(dataset.classes().size() + 1);
    ++counts[s.label < 0 ? dataset.classes().size() : size_t(s.label)];
    try {
      const Image image = dataset.image(i);
      ++found.sizes[fmt::format("{}x{}x{}", image.height, image.width, image.channels)];
      if (is_constant(image)) found.constant.push_back(i);
      pictures[hash_of(image)].push_back(i);
    } catch (const Error& e) {
      found.unreadable.push_back(e.what());
    }
    if (progress) progress(i + 1, dataset.size());
  }
  for (auto& [hash, indices] : pictures) {
    if (indices.size() < 2) continue;
    std::set<int> labels;
    std::set<Split> splits;
    for (const size_t i : indices) labels.insert(dataset.sample(i).label), splits.insert(dataset.sample(i).split);
    if (labels.size() > 1) found.conflicts.push_back(indices);
    if (splits.count(Split::train) && splits.size() > 1) found.across_splits.push_back(indices);
    found.duplicates.push_back(std::move(indices));
  }
  for (auto* groups : {&found.duplicates, &found.conflicts, &found.across_splits}) std::ranges::sort(*groups);
  return found;
}

}  // namespace vkfer
