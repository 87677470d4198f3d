#pragma once
// Which samples a batch holds and how each is augmented: pure functions of (seed, epoch, sample), so that neither
// threads nor a resume change them.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vkfer {

struct SamplerOptions {
  size_t batch = 32;
  uint64_t seed = 1;
  bool shuffle = true;    // false: 0, 1, 2, ...
  bool drop_last = true;  // training; false pads the last batch with kPadding (label -1: ignored by loss and metrics)
};

constexpr int64_t kPadding = -1;

// Positions 0..count-1 of a split, each batch exactly options.batch long.
class Sampler {
 public:
  Sampler(size_t count, const SamplerOptions& options);  // throws when drop_last would leave no batch

  size_t batches() const;
  std::vector<uint32_t> order(uint32_t epoch) const;              // a permutation of 0..count-1
  std::vector<std::vector<int64_t>> epoch(uint32_t epoch) const;  // all batches: [batches()][options.batch]

 private:
  size_t count_;
  SamplerOptions options_;
};

// Training augmentation of one sample in one epoch. The device applies it: flip, then shift with zero (or edge) fill.
struct Augmentation {
  bool flip = false;
  int dx = 0, dy = 0;  // crop offset in [-pad, pad]: output(y, x) = input(y + dy, x + dx)
};
Augmentation augmentation(uint64_t seed, uint32_t epoch, uint32_t sample, int pad, float flip_probability = 0.5f);

}  // namespace vkfer
