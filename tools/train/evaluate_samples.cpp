#include "tools/train/evaluate_samples.h"

#include <algorithm>

#include "models/weights/transfer.h"
#include "tools/train/evaluator.h"
#include "tools/train/resize.h"

namespace vkfer {

EvaluatedSamples evaluate_samples(Device& device, const SavedNetwork& saved, NetworkSettings network, const Target& target, const Dataset& dataset,
                                  const std::vector<size_t>& samples, std::span<const int> label_map, bool skip_bad,
                                  const std::function<void(const char*, size_t, size_t)>& progress) {
  network.pixel_channels = std::min(network.channels, std::max(1, dataset.channels()));
  States states(device);
  Evaluator evaluator(device, states, network, target);
  load_weights(saved.weights, evaluator.graph(), states, {.classifier = network.classifier()});

  CacheOptions options;
  options.size = network.size;
  options.channels = network.pixel_channels;
  options.skip_bad = skip_bad;
  options.resize = resize_on(device);
  options.progress = [&](size_t done, size_t total) { progress("reading", done, total); };
  const DecodedCache cache(dataset, samples, options);
  const auto evaluated = [&](size_t done) {
    progress("evaluating", done, cache.size());
    return true;
  };
  return {*evaluator.evaluate(cache, label_map, evaluated), cache.skipped().size()};
}

}  // namespace vkfer
