#include "tools/analysis/features.h"

#include <algorithm>

#include "runtime/error.h"
#include "tools/analysis/anatomy.h"
#include "tools/analysis/network_graph.h"
#include "tools/data/sampler.h"

namespace vkfer {
namespace {

// Calls visit(positions, pixels) for every batch of the cache, in order.
template <class Visit>
void for_each_batch(const DecodedCache& cache, size_t batch, Visit visit) {
  const Sampler sampler(cache.size(), {.batch = batch, .shuffle = false, .drop_last = false});
  BatchLoader loader(cache, sampler.epoch(0));
  std::vector<int64_t> positions;
  std::vector<uint8_t> pixels;
  while (loader.next(positions, pixels)) visit(positions, pixels);
}

// Appends the rows of a batch that are no padding.
void append(PictureRows& rows, std::span<const int64_t> positions, std::span<const float> batch) {
  const size_t columns = size_t(rows.values.columns);
  for (size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] == kPadding) continue;
    rows.positions.push_back(size_t(positions[i]));
    rows.values.values.insert(rows.values.values.end(), batch.begin() + ptrdiff_t(i * columns), batch.begin() + ptrdiff_t((i + 1) * columns));
  }
  rows.values.rows = int64_t(rows.positions.size());
}

PictureRows empty_rows(int64_t columns, size_t expected) {
  PictureRows rows;
  rows.values.columns = columns;
  rows.values.values.reserve(size_t(columns) * expected);
  return rows;
}

}  // namespace

struct PenultimateFeatures::Impl {
  NetworkSettings settings;
  NetworkGraph net;                    // its graph has moved into executor; the values stay valid
  Value features;
  std::unique_ptr<Executor> executor;

  Impl(Device& device, States& states, const NetworkSettings& n, const Target& target) : settings(n), net(network_graph(n)) {
    if (!net.pixels) fail("features", "pixel_channels: got 0, expected 1 or 3: pictures come as pixels. Fix: set it to those of the cache");
    Graph& g = net.graph;
    features = last_features(g, net.built.logits ? net.built.logits : net.built.valence);
    g.output(features);
    for (const Value answer : {net.built.logits, net.built.valence, net.built.arousal})
      if (answer) g.output(answer);    // so that the graph has every state that a file of weights has
    fuse_for_inference(g);
    Plan plan = make_plan(g, target);
    executor = std::make_unique<Executor>(device, std::move(g), std::move(plan), states);
    executor->write(net.augment, std::vector<int32_t>(size_t(n.batch) * 4, 0));
  }
};

PenultimateFeatures::PenultimateFeatures(Device& device, States& states, const NetworkSettings& settings, const Target& target)
    : impl_(std::make_unique<Impl>(device, states, settings, target)) {}
PenultimateFeatures::~PenultimateFeatures() = default;

const Graph& PenultimateFeatures::graph() const { return impl_->executor->graph(); }
int64_t PenultimateFeatures::columns() const { return graph().shape(impl_->features).last(); }

PictureRows PenultimateFeatures::rows(const DecodedCache& cache, const PictureProgress& progress) {
  const NetworkSettings& n = impl_->settings;
  if (cache.size() > 0 && (cache.image_size() != n.size || cache.channels() != n.pixel_channels))
    fail("features", "pictures: got {}x{} with {} channels, expected {}x{} with {}. Fix: decode them for the network", cache.image_size(), cache.image_size(),
         cache.channels(), n.size, n.size, n.pixel_channels);
  PictureRows rows = empty_rows(columns(), cache.size());
  Executor& executor = *impl_->executor;
  for_each_batch(cache, size_t(n.batch), [&](std::span<const int64_t> positions, std::span<const uint8_t> pixels) {
    executor.write(impl_->net.pixels, pixels);
    executor.run();
    append(rows, positions, executor.read(impl_->features));
    if (progress) progress(rows.positions.size(), cache.size());
  });
  return rows;
}

PictureRows pixel_rows(const DecodedCache& cache) {
  constexpr size_t kBatch = 64;
  PictureRows rows = empty_rows(int64_t(cache.bytes_per_image()), cache.size());
  std::vector<float> values;
  for_each_batch(cache, kBatch, [&](std::span<const int64_t> positions, std::span<const uint8_t> pixels) {
    values.resize(pixels.size());
    std::ranges::transform(pixels, values.begin(), [](uint8_t p) { return float(p) / 255; });
    append(rows, positions, values);
  });
  return rows;
}

}  // namespace vkfer
