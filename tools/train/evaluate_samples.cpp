#include "tools/train/evaluate_samples.h"

#include <algorithm>
#include <cmath>

#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tools/train/evaluator.h"
#include "tools/train/resize.h"

namespace vkfer {

void check_answers_finite(std::span<const float> answers) {
  if (!std::ranges::all_of(answers, [](float v) { return std::isfinite(v); }))
    fail("network", "its answers are not finite numbers. Fix: --precision fp32, or weights that are in bounds");
}

EvaluatedSamples evaluate_samples(Device& device, const SavedNetwork& saved, NetworkSettings network, const Target& target, const Dataset& dataset,
                                  const std::vector<size_t>& samples, const SampleOptions& o) {
  const std::vector<View> views = test_time_views(o.views, network.size);
  network.pixel_channels = std::min(network.channels, std::max(1, dataset.channels()));
  States states(device);
  Evaluator evaluator(device, states, network, target);
  load_weights(saved.weights, evaluator.graph(), states, {.classifier = network.classifier()});

  const auto progress = [&](const char* what, size_t done, size_t total) {
    if (o.progress) o.progress(what, done, total);
  };
  CacheOptions options;
  options.size = network.size;
  options.channels = network.pixel_channels;
  options.skip_bad = o.skip_bad;
  options.resize = resize_on(device);
  options.progress = [&](size_t done, size_t total) { progress("reading", done, total); };
  const DecodedCache cache(dataset, samples, options);
  EvaluatedSamples result;
  std::vector<Predictions> seen;
  for (const View& view : views) {
    PredictedRows rows;
    const auto evaluated = [&](size_t done) {
      progress("evaluating", seen.size() * cache.size() + done, views.size() * cache.size());
      return true;
    };
    const Evaluation e = *evaluator.evaluate(cache, o.label_map, evaluated, &rows, view);
    if (seen.empty()) {
      result.evaluation = e;
      for (const size_t position : rows.positions) result.samples.push_back(cache.dataset_index(position));
    }
    seen.push_back(std::move(rows.predictions));
  }
  result.predictions = mean_of(seen);
  check_answers_finite(result.predictions.probabilities);
  check_answers_finite(result.predictions.valence.predicted);
  check_answers_finite(result.predictions.arousal.predicted);
  result.skipped = cache.skipped().size();
  return result;
}

}  // namespace vkfer
