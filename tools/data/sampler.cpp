#include "tools/data/sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/error.h"
#include "tools/data/philox.h"

namespace vkfer {

Sampler::Sampler(size_t count, const SamplerOptions& options) : count_(count), options_(options) {
  if (options.batch == 0) fail("data", "a batch of 0 images. Fix: --batch 1 or more");
  if (count > 0xFFFFFFFF) fail("data", "{} images, expected fewer than 2^32", count);
  if (options.drop_last && count < options.batch)
    fail("data", "{} training images do not fill one batch of {}. Fix: --batch {} or less", count, options.batch,
         std::max<size_t>(1, count));
}

size_t Sampler::batches() const {
  return options_.drop_last ? count_ / options_.batch : (count_ + options_.batch - 1) / options_.batch;
}

// Fisher and Yates, from the end.
std::vector<uint32_t> Sampler::order(uint32_t epoch) const {
  std::vector<uint32_t> order(count_);
  std::iota(order.begin(), order.end(), 0u);
  if (!options_.shuffle) return order;
  PhiloxSequence random(options_.seed, PhiloxStream::shuffle, epoch);
  for (size_t i = count_; i > 1; --i) std::swap(order[i - 1], order[random.below(static_cast<uint32_t>(i))]);
  return order;
}

std::vector<std::vector<int64_t>> Sampler::epoch(uint32_t epoch) const {
  const std::vector<uint32_t> all = order(epoch);
  std::vector<std::vector<int64_t>> result(batches(), std::vector<int64_t>(options_.batch, kPadding));
  for (size_t i = 0; i < std::min(count_, result.size() * options_.batch); ++i)
    result[i / options_.batch][i % options_.batch] = all[i];
  return result;
}

Augmentation augmentation(uint64_t seed, uint32_t epoch, uint32_t sample, int pad, float flip_probability) {
  PhiloxSequence random(seed, PhiloxStream::augment, epoch, sample);
  Augmentation result;
  result.flip = random.uniform() < flip_probability;
  const auto shift = [&] { return static_cast<int>(random.below(2 * static_cast<uint32_t>(pad) + 1)) - pad; };
  result.dx = shift();
  result.dy = shift();
  return result;
}

}  // namespace vkfer
