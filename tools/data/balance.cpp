#include "tools/data/balance.h"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "runtime/error.h"
#include "tools/data/split.h"

namespace vkfer {
namespace {

constexpr uint32_t kBalancePurpose = 16;  // of rank_of(); splits use their own numbers

// A sample of another data set, as it is (version 0) or altered.
struct Origin {
  Sample sample;
  uint32_t version = 0;
};

// The level to which the smallest are filled so that all together are `total`; the rest that is no whole number goes to the first.
std::vector<size_t> filled(const std::vector<size_t>& counts, size_t total) {
  std::vector<size_t> sorted = counts;
  std::ranges::sort(sorted);
  const size_t all = std::accumulate(counts.begin(), counts.end(), size_t{0});
  if (total < all) fail("balance", "--total {} is below the {} training images that there are. Fix: --cut, or more", total, all);
  size_t level = 0, below = 0, sum = 0;  // the `below` smallest classes are raised to `level`
  for (below = 1; below <= sorted.size(); ++below) {
    sum += sorted[below - 1];
    const size_t larger = all - sum;
    level = (total - larger) / below;
    if (below == sorted.size() || level <= sorted[below]) break;
  }
  size_t rest = total - (all - sum) - level * below;
  std::vector<size_t> targets = counts;
  for (size_t& n : targets)
    if (n <= level) n = level + (rest > 0), rest -= rest > 0;
  return targets;
}

std::vector<size_t> equal(size_t classes, size_t total) {
  std::vector<size_t> targets(classes, total / classes);
  for (size_t c = 0; c < total % classes; ++c) ++targets[c];
  return targets;
}

}  // namespace

std::vector<size_t> balanced_counts(const std::vector<size_t>& counts, const BalanceOptions& options) {
  if (counts.empty()) fail("balance", "the data has no classes");
  if (options.total > 0) return options.cut ? equal(counts.size(), options.total) : filled(counts, options.total);
  std::vector<size_t> targets;
  for (const size_t n : counts) targets.push_back(options.cut ? options.per_class : std::max(n, options.per_class));
  return targets;
}

DatasetContents balanced(DatasetContents data, const BalanceOptions& options, const Alter& alter) {
  std::vector<std::vector<const Sample*>> members(data.classes.size());
  for (const Sample& s : data.samples)
    if (s.split == Split::train && s.label >= 0) members[size_t(s.label)].push_back(&s);
  std::vector<size_t> counts;
  std::unordered_map<const Sample*, size_t> places;  // of each in its class' order by seed
  for (size_t c = 0; c < members.size(); ++c) {
    if (members[c].empty()) fail("balance", "class '{}' has no training image to copy. Fix: add some, or remove the class", data.classes[c]);
    std::ranges::sort(members[c], {}, [&](const Sample* s) { return std::pair(rank_of(*s, options.seed, kBalancePurpose), std::string_view(s->id)); });
    for (size_t i = 0; i < members[c].size(); ++i) places[members[c][i]] = i;
    counts.push_back(members[c].size());
  }
  const std::vector<size_t> targets = balanced_counts(counts, options);

  const auto origins = std::make_shared<std::vector<Origin>>();
  std::vector<Sample> samples;
  const auto add = [&](const Sample& s, uint32_t version) {
    origins->push_back({s, version});
    samples.push_back(s);
    samples.back().entry = origins->size() - 1;
    if (version) samples.back().id += fmt::format("~{}", version);
  };
  for (const Sample& s : data.samples) {
    if (s.split != Split::train || s.label < 0) {
      add(s, 0);
      continue;
    }
    const size_t members_of_class = counts[size_t(s.label)];
    for (size_t version = 0; version * members_of_class + places.at(&s) < targets[size_t(s.label)]; ++version) add(s, uint32_t(version));
  }

  DatasetContents result = data;
  result.samples = std::move(samples);
  result.decode = [origins, alter, decode = data.decode, seed = options.seed](const Sample& s) {
    const Origin& o = (*origins)[s.entry];
    const Image image = decode(o.sample);
    return o.version ? alter(image, o.version, uint32_t(rank_of(o.sample, seed, kBalancePurpose))) : image;
  };
  if (data.file) result.file = [origins, file = data.file](const Sample& s) { return (*origins)[s.entry].version ? ImageFile{} : file((*origins)[s.entry].sample); };
  if (data.encoded)
    result.encoded = [origins, encoded = data.encoded](const Sample& s) {
      return (*origins)[s.entry].version ? std::vector<std::byte>{} : encoded((*origins)[s.entry].sample);
    };
  return result;
}

DatasetContents with_added(DatasetContents data, DatasetContents more, const std::vector<int>& labels) {
  struct Added {
    Sample sample;
    bool more;
  };
  const auto origins = std::make_shared<std::vector<Added>>();
  DatasetContents result = data;
  result.samples.clear();
  const auto add = [&](const Sample& s, bool of_more) {
    origins->push_back({s, of_more});
    result.samples.push_back(s);
    result.samples.back().entry = origins->size() - 1;
  };
  for (const Sample& s : data.samples) add(s, false);
  for (const Sample& s : more.samples) {
    add(s, true);
    Sample& sample = result.samples.back();
    sample.id = "added/" + s.id;
    sample.split = Split::train;
    if (s.label >= 0) sample.label = labels.at(size_t(s.label));
  }
  data.samples.clear(), more.samples.clear();
  result.channels = std::max(data.channels, more.channels);
  const auto both = std::make_shared<std::array<DatasetContents, 2>>(std::array{std::move(data), std::move(more)});
  const auto of = [origins, both](const Sample& s) {
    const Added& a = (*origins)[s.entry];
    return std::pair<const DatasetContents&, const Sample&>((*both)[a.more], a.sample);
  };
  result.decode = [of](const Sample& s) {
    const auto [contents, sample] = of(s);
    return contents.decode(sample);
  };
  result.file = [of](const Sample& s) {
    const auto [contents, sample] = of(s);
    return contents.file ? contents.file(sample) : ImageFile{};
  };
  result.encoded = [of](const Sample& s) {
    const auto [contents, sample] = of(s);
    return original_bytes(contents, sample);
  };
  return result;
}

}  // namespace vkfer
