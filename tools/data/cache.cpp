#include "tools/data/cache.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "runtime/error.h"
#include "tools/data/ordered_workers.h"
#include "tools/data/sampler.h"

namespace vkfer {
namespace {

constexpr size_t kResizeBytes = size_t{128} << 20;  // of originals handed to resize at once

// A decoded image, or why there is none (only with skip_bad; else the error is thrown).
struct Decoded {
  std::optional<Image> image;
  std::string problem;
};

Decoded decode(const Dataset& dataset, size_t index, bool skip_bad) {
  try {
    return {dataset.image(index), {}};
  } catch (const Error& error) {
    if (!skip_bad) throw;
    return {std::nullopt, error.what()};
  }
}

size_t weight(const Decoded& decoded) { return decoded.image ? decoded.image->pixels.size() : 0; }

std::vector<uint8_t> resized(const std::vector<Image>& images, const CacheOptions& options, size_t bytes_per_image) {
  if (!options.resize)
    fail("data", "an image has {}x{} pixels, expected {}x{}, and nothing is there to resize it", images[0].width,
         images[0].height, options.size, options.size);
  std::vector<uint8_t> out = options.resize(images, options.size);
  if (out.size() != images.size() * bytes_per_image)
    fail("data", "resizing {} images gave {} bytes, expected {}", images.size(), out.size(), images.size() * bytes_per_image);
  return out;
}

// Brings images to [size, size, channels], each to its place; at most options.chunk go to resize in one call.
class Scaler {
 public:
  Scaler(const CacheOptions& options, int channels)
      : options_(options), channels_(channels), bytes_per_image_(size_t(options.size) * options.size * channels) {}

  void put(Image image, uint8_t* place) {
    image = convert_channels(std::move(image), channels_);
    if (image.width == options_.size && image.height == options_.size) {
      std::memcpy(place, image.pixels.data(), bytes_per_image_);
      return;
    }
    waiting_bytes_ += image.pixels.size();
    waiting_.push_back(std::move(image));
    places_.push_back(place);
    if (waiting_.size() >= options_.chunk || waiting_bytes_ >= kResizeBytes) flush();
  }

  void flush() {
    if (waiting_.empty()) return;
    const std::vector<uint8_t> out = resized(waiting_, options_, bytes_per_image_);
    for (size_t i = 0; i < places_.size(); ++i) std::memcpy(places_[i], out.data() + i * bytes_per_image_, bytes_per_image_);
    waiting_.clear();
    places_.clear();
    waiting_bytes_ = 0;
  }

 private:
  const CacheOptions& options_;
  int channels_;
  size_t bytes_per_image_, waiting_bytes_ = 0;
  std::vector<Image> waiting_;
  std::vector<uint8_t*> places_;
};

}  // namespace

DecodedCache::DecodedCache(const Dataset& dataset, std::vector<size_t> indices, CacheOptions options)
    : dataset_(&dataset), indices_(std::move(indices)), options_(std::move(options)) {
  if (options_.size < 1 || options_.chunk < 1 || (options_.channels != 0 && options_.channels != 1 && options_.channels != 3))
    fail("data", "size {}, chunk {} or channels {} is wrong", options_.size, options_.chunk, options_.channels);
  channels_ = options_.channels ? options_.channels : std::max(1, dataset.channels());
  const size_t fitting = options_.memory_bytes / bytes_per_image();
  in_memory_ = indices_.size() <= fitting;
  if (in_memory_) fill();
}

// [n,s,s,1] -> [n,s,s,3] of what is there, when the first colour image turns up late.
void DecodedCache::widen_to_colour(size_t images) {
  const size_t count = images * bytes_per_image();
  pixels_.resize(indices_.size() * size_t(options_.size) * options_.size * 3);
  for (size_t i = count; i-- > 0;) pixels_[i * 3] = pixels_[i * 3 + 1] = pixels_[i * 3 + 2] = pixels_[i];
  channels_ = 3;
}

void DecodedCache::fill() {
  OrderedWorkers<Decoded> workers(
      indices_.size(), {.threads = options_.threads},
      [this](size_t i) { return decode(*dataset_, indices_[i], options_.skip_bad); }, weight);
  pixels_.resize(indices_.size() * bytes_per_image());
  std::optional<Scaler> scaler(std::in_place, options_, channels_);
  std::vector<size_t> kept;
  for (size_t i = 0; auto decoded = workers.next(); ++i) {
    if (!decoded->image) {
      skipped_.push_back(decoded->problem);
      if (options_.left_out) options_.left_out(decoded->problem);
      continue;
    }
    if (options_.channels == 0 && decoded->image->channels > channels_) {
      scaler->flush();
      widen_to_colour(kept.size());
      scaler.emplace(options_, channels_);
    }
    scaler->put(std::move(*decoded->image), pixels_.data() + kept.size() * bytes_per_image());
    kept.push_back(indices_[i]);
    if (options_.progress) options_.progress(i + 1, indices_.size());
  }
  scaler->flush();
  indices_ = std::move(kept);
  pixels_.resize(indices_.size() * bytes_per_image());
}

std::span<const uint8_t> DecodedCache::pixels(size_t position) const {
  return std::span(pixels_).subspan(position * bytes_per_image(), bytes_per_image());
}

struct BatchLoader::Prefetch {
  std::vector<int64_t> positions;  // of all batches, one after another
  OrderedWorkers<Decoded> workers;

  Prefetch(const DecodedCache& cache, std::vector<int64_t> all, size_t batch)
      : positions(std::move(all)),
        workers(positions.size(), {.threads = cache.options_.threads, .items = std::max<size_t>(32, 2 * batch)},
                [this, &cache](size_t i) -> Decoded {
                  if (positions[i] == kPadding) return {};
                  const size_t index = cache.dataset_index(static_cast<size_t>(positions[i]));
                  return decode(*cache.dataset_, index, cache.options_.skip_bad);
                },
                weight) {}
};

BatchLoader::BatchLoader(const DecodedCache& cache, std::vector<std::vector<int64_t>> batches)
    : cache_(&cache), batches_(std::move(batches)) {
  if (cache.in_memory() || batches_.empty()) return;
  std::vector<int64_t> all;
  for (const auto& batch : batches_) all.insert(all.end(), batch.begin(), batch.end());
  prefetch_ = std::make_unique<Prefetch>(cache, std::move(all), batches_[0].size());
}

BatchLoader::~BatchLoader() = default;

void BatchLoader::leave_out(int64_t& position, const std::string& problem) const {
  position = kPadding;
  if (cache_->options_.left_out) cache_->options_.left_out(problem);
}

bool BatchLoader::next(std::vector<int64_t>& positions, std::vector<uint8_t>& pixels) {
  if (at_ == batches_.size()) return false;
  positions = batches_[at_++];
  const size_t bytes = cache_->bytes_per_image();
  pixels.assign(positions.size() * bytes, 0);
  Scaler scaler(cache_->options_, cache_->channels_);
  for (size_t i = 0; i < positions.size(); ++i) {
    uint8_t* place = pixels.data() + i * bytes;
    if (prefetch_) {
      Decoded decoded = *prefetch_->workers.next();
      if (decoded.image) scaler.put(std::move(*decoded.image), place);
      else if (positions[i] != kPadding) leave_out(positions[i], decoded.problem);
    } else if (positions[i] != kPadding) {
      const auto from = cache_->pixels(static_cast<size_t>(positions[i]));
      std::memcpy(place, from.data(), bytes);
    }
  }
  scaler.flush();
  return true;
}

}  // namespace vkfer
