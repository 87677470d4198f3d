#include "tools/train/resize.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "graph/ops/ops.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr size_t kBatch = 16;
constexpr size_t kBatchBytes = size_t{16} << 20;  // of originals in one run, unless a single one is larger

size_t stored_bytes_of(const Image& image) { return (image.pixels.size() + 3) / 4 * 4; }

// How many images from `first` go into one run: at least one.
size_t fitting(std::span<const Image> images, size_t first) {
  size_t count = 0, bytes = 0;
  while (first + count < images.size() && count < kBatch) {
    bytes += stored_bytes_of(images[first + count]);
    if (count && bytes > kBatchBytes) break;
    ++count;
  }
  return count;
}

// A pixel of resample.comp adds up (2 * ratio)^2 taps in loops that a CPU driver bounds, so pictures beyond this ratio are
// averaged over whole boxes first, as PIL's resize(reducing_gap) does.
constexpr int kMostRatio = 64;
// So are pictures that do not fit the smallest range of storage which a device may have, so that every device gives the same answer.
constexpr size_t kMostBytes = size_t{1} << 27;

Image box_average(const Image& image, int factor) {
  Image out{image.height / factor, image.width / factor, image.channels, {}};
  out.pixels.resize(size_t(out.height) * size_t(out.width) * size_t(out.channels));
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      for (int c = 0; c < out.channels; ++c) {
        uint64_t sum = 0;
        for (int dy = 0; dy < factor; ++dy)
          for (int dx = 0; dx < factor; ++dx)
            sum += image.pixels[(size_t(y * factor + dy) * size_t(image.width) + size_t(x * factor + dx)) * size_t(image.channels) + size_t(c)];
        const uint64_t area = uint64_t(factor) * uint64_t(factor);
        out.pixels[(size_t(y) * size_t(out.width) + size_t(x)) * size_t(out.channels) + size_t(c)] = uint8_t((sum + area / 2) / area);
      }
  return out;
}

// The same pictures, huge ones made smaller; `kept` holds them when there is one.
std::span<const Image> shrink_huge(std::span<const Image> images, int size, std::vector<Image>& kept) {
  const auto factor = [size](const Image& image) {
    int wanted = std::max(image.height, image.width) / (size * kMostRatio) + 1;
    while (image.pixels.size() / (size_t(wanted) * size_t(wanted)) > kMostBytes) ++wanted;
    return std::min({wanted, image.height, image.width});
  };
  if (std::ranges::all_of(images, [&](const Image& image) { return factor(image) == 1; })) return images;
  for (const Image& image : images) kept.push_back(factor(image) == 1 ? image : box_average(image, factor(image)));
  return kept;
}

}  // namespace

struct DeviceResize::Resampler {
  int size, channels;
  size_t capacity;
  Value bytes, table, out;
  std::unique_ptr<Executor> executor;

  Resampler(Device& device, States& states, int s, int c, size_t bytes_needed)
      : size(s), channels(c), capacity(std::max(std::bit_ceil(bytes_needed), kBatchBytes / 4)) {
    const Target target = target_for(device.info());
    if (capacity > target.max_storage_range) capacity = bytes_needed;
    if (capacity > target.max_storage_range)
      fail("resize", "a picture of {} MB, expected at most {} MB on this device. Fix: make it smaller first",
           bytes_needed >> 20, target.max_storage_range >> 20);
    Graph g;
    bytes = g.input("bytes", {{int64_t(capacity)}, DType::u8});
    table = g.input("table", {{int64_t(kBatch), 8}, DType::i32});
    out = g.add1(ops::resample, {{"size", size}, {"channels", channels}}, {bytes, table}, "resample");
    g.output(out, "resized");
    Plan plan = make_plan(g, target);
    executor = std::make_unique<Executor>(device, std::move(g), std::move(plan), states);
  }

  void run(std::span<const Image> images, uint8_t* to) {
    std::vector<uint8_t> packed(capacity);
    std::vector<std::array<int32_t, 8>> rows(kBatch);
    size_t offset = 0;
    for (size_t i = 0; i < kBatch; ++i) {
      const Image& image = images[std::min(i, images.size() - 1)];  // rows without a picture repeat the last one
      if (i < images.size()) {
        std::memcpy(packed.data() + offset, image.pixels.data(), image.pixels.size());
        rows[i] = {int32_t(offset), image.height, image.width, image.channels, 0, 0, image.height, image.width};
        offset += stored_bytes_of(image);
      } else {
        rows[i] = rows[i - 1];
      }
    }
    executor->write(bytes, std::span<const uint8_t>(packed));
    executor->write(table, std::span<const int32_t>(rows[0].data(), kBatch * 8));
    executor->run();
    const size_t each = size_t(size) * size_t(size) * size_t(channels);
    std::vector<uint8_t> all(kBatch * each);
    executor->read(out, std::span<uint8_t>(all));
    std::memcpy(to, all.data(), images.size() * each);
  }
};

DeviceResize::DeviceResize(Device& device) : device_(device), states_(device) {}
DeviceResize::~DeviceResize() = default;

DeviceResize::Resampler& DeviceResize::resampler(int size, int channels, size_t bytes) {
  if (!resampler_ || resampler_->size != size || resampler_->channels != channels || resampler_->capacity < bytes) {
    resampler_.reset();  // first, so that both are never held at once
    resampler_ = std::make_unique<Resampler>(device_, states_, size, channels, bytes);
  }
  return *resampler_;
}

std::vector<uint8_t> DeviceResize::operator()(std::span<const Image> originals, int size) {
  if (originals.empty()) return {};
  std::vector<Image> shrunk;
  const std::span<const Image> images = shrink_huge(originals, size, shrunk);
  const int channels = images[0].channels;
  const size_t each = size_t(size) * size_t(size) * size_t(channels);
  std::vector<uint8_t> result(images.size() * each);
  for (size_t first = 0; first < images.size();) {
    const std::span<const Image> part = images.subspan(first, fitting(images, first));
    size_t bytes = 0;
    for (const Image& image : part) bytes += stored_bytes_of(image);
    resampler(size, channels, bytes).run(part, result.data() + first * each);
    first += part.size();
  }
  return result;
}

Resize resize_on(Device& device) {
  auto shared = std::make_shared<DeviceResize>(device);
  return [shared](std::span<const Image> images, int size) { return (*shared)(images, size); };
}

}  // namespace vkfer
