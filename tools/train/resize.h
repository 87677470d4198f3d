#pragma once
// Resizing on the device, for DecodedCache and for single pictures: the whole picture to a square, as PIL's
// resize((s,s), BILINEAR), with antialiasing.
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "graph/executor.h"
#include "tools/data/cache.h"

namespace vkfer {

// The executors for each number of channels are made on first use; memory is what the largest picture so far needed.
class DeviceResize {
 public:
  explicit DeviceResize(Device& device);
  ~DeviceResize();
  // Images of any sizes, all with the same channels -> [n,size,size,channels]. Fails for a picture that the device
  // cannot hold in one range.
  std::vector<uint8_t> operator()(std::span<const Image> images, int size);

 private:
  struct Resampler;
  Resampler& resampler(int size, int channels, size_t bytes);

  Device& device_;
  States states_;  // of graphs that have none
  std::unique_ptr<Resampler> resampler_;
};

// For CacheOptions::resize; `device` must outlive it.
Resize resize_on(Device& device);

}  // namespace vkfer
