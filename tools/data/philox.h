#pragma once
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
// A counter and a key give 128 random bits with no state in between, so that a number depends on what it is for
// (epoch, sample) and never on how many numbers were drawn before, on threads or on a resume.
#include <array>
#include <cstdint>

#include "tools/data/exact_float.h"  // uniform(low, high) must not be fused differently by different compilers

namespace vkfer {

using Philox4 = std::array<uint32_t, 4>;

constexpr Philox4 philox4x32(Philox4 counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ counter[3] ^ key[1],
               uint32_t(a)};
    key[0] += 0x9E3779B9;  // golden ratio
    key[1] += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

// What a stream of numbers is for; part of the counter, so that streams of one seed never overlap.
enum class PhiloxStream : uint32_t { shuffle = 1, augment = 2, split = 3, synthetic = 4, warp = 5, mix = 6, sweep = 9, analysis = 10 };

// Numbers drawn one after another from (seed, stream, a, b): a and b name the epoch, the sample, ...
class PhiloxSequence {
 public:
  // Counter words: number of the draw, a, b, stream.
  constexpr PhiloxSequence(uint64_t seed, PhiloxStream stream, uint32_t a = 0, uint32_t b = 0)
      : key_{uint32_t(seed), uint32_t(seed >> 32)}, counter_{0, a, b, uint32_t(stream)} {}

  constexpr uint32_t next() {
    if (used_ == 4) {
      block_ = philox4x32(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return block_[used_++];
  }

  // Uniform in [0, bound), exactly: values of the incomplete last range are drawn again.
  constexpr uint32_t below(uint32_t bound) {
    const uint32_t threshold = (0u - bound) % bound;
    uint64_t product = uint64_t{next()} * bound;
    while (uint32_t(product) < threshold) product = uint64_t{next()} * bound;
    return uint32_t(product >> 32);
  }

  // Uniform in [0, 1): a multiple of 2^-24, exact in float.
  constexpr float uniform() { return float(next() >> 8) * 0x1p-24f; }
  constexpr float uniform(float low, float high) { return low + (high - low) * uniform(); }

 private:
  std::array<uint32_t, 2> key_;
  Philox4 counter_;
  Philox4 block_{};
  int used_ = 4;
};

}  // namespace vkfer
