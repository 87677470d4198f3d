#pragma once
// Decoded pixels of a split, ready to be uploaded: all in memory when they fit, else decoded batch by batch ahead of use.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tools/data/dataset.h"

namespace vkfer {

// Resizes images (any sizes, all with the same channels) to [n, size, size, channels]. Called on the thread that uses
// the cache or loader, never on a decoding thread, so it may use the device. n is at most CacheOptions::chunk.
using Resize = std::function<std::vector<uint8_t>(std::span<const Image> images, int size)>;

struct CacheOptions {
  int size = 48;
  int channels = 0;                         // 1 or 3; 0: 3 if any image is in colour, else 1
  int threads = 0;                          // 0: one per core
  size_t memory_bytes = size_t{2} << 30;    // a larger split is not kept but decoded per batch
  size_t chunk = 64;                        // at most so many images are handed to resize at once
  bool skip_bad = false;                    // leave out images that do not decode, and count them
  Resize resize;                            // may be empty where every image already is [size, size]
  std::function<void(size_t done, size_t total)> progress;  // may be empty
  std::function<void(const std::string& problem)> left_out; // may be empty: of each image that skip_bad leaves out, whenever it is read;
                                                            // called on the thread that uses the cache or loader
};

class DecodedCache {
 public:
  // Decodes everything now if it fits, so a bad image is found before training and not in the middle of it.
  // Throws the Error of the first bad image in order of `indices`, whatever the number of threads.
  // The data set must outlive the cache.
  DecodedCache(const Dataset& dataset, std::vector<size_t> indices, CacheOptions options);

  size_t size() const { return indices_.size(); }
  size_t dataset_index(size_t position) const { return indices_[position]; }
  const Sample& sample(size_t position) const { return dataset_->sample(indices_[position]); }
  int image_size() const { return options_.size; }
  int channels() const { return channels_; }
  size_t bytes_per_image() const { return size_t(options_.size) * options_.size * channels_; }
  bool in_memory() const { return in_memory_; }
  const std::vector<std::string>& skipped() const { return skipped_; }  // messages of images left out by skip_bad

  // [size, size, channels] of one image; only when in_memory().
  std::span<const uint8_t> pixels(size_t position) const;

 private:
  friend class BatchLoader;
  void fill();
  void widen_to_colour(size_t images);

  const Dataset* dataset_;
  std::vector<size_t> indices_;
  CacheOptions options_;
  int channels_ = 1;
  bool in_memory_ = false;
  std::vector<uint8_t> pixels_;
  std::vector<std::string> skipped_;
};

// The batches of one epoch in order: pixels [batch, size, size, channels], zero where the position is kPadding.
class BatchLoader {
 public:
  // The cache must outlive the loader. Batches hold positions in the cache (see Sampler).
  BatchLoader(const DecodedCache& cache, std::vector<std::vector<int64_t>> batches);
  ~BatchLoader();

  size_t batches() const { return batches_.size(); }
  // Fills `positions` and `pixels` with the next batch; false after the last. Throws what decoding threw. An image that
  // skip_bad leaves out while decoding per batch becomes kPadding.
  bool next(std::vector<int64_t>& positions, std::vector<uint8_t>& pixels);

 private:
  struct Prefetch;
  void leave_out(int64_t& position, const std::string& problem) const;
  const DecodedCache* cache_;
  std::vector<std::vector<int64_t>> batches_;
  size_t at_ = 0;
  std::unique_ptr<Prefetch> prefetch_;
};

}  // namespace vkfer
