#include "tools/train/evaluator.h"

#include <algorithm>
#include <cstring>

#include "tools/data/sampler.h"

namespace vkfer {

Evaluator::Evaluator(Device& device, States& states, const NetworkSettings& settings, const Target& target)
    : states_(states), settings_(settings), step_(evaluation_graph(settings)) {
  Plan plan = make_plan(step_.graph, target);
  executor_ = std::make_unique<Executor>(device, std::move(step_.graph), std::move(plan), states);
  executor_->write(step_.class_weights, std::vector<float>(size_t(settings.classes), 1.0f));
  executor_->write(step_.augment, std::vector<int32_t>(size_t(settings.batch) * 4, 0));
}

void Evaluator::start_batch(std::span<const uint8_t> pixels, std::span<const int32_t> labels) {
  executor_->write(step_.pixels, pixels);
  executor_->write(step_.labels, labels);
  executor_->submit();
}

std::optional<Evaluation> Evaluator::evaluate(const DecodedCache& cache, std::span<const int> label_map,
                                              const std::function<bool(size_t)>& progress) {
  executor_->drain();  // of a pass that was left by an error
  const int k = settings_.classes;
  states_.write(kEvalSums, std::vector<float>(size_t(k) * size_t(k) + 2, 0.0f));
  const Sampler sampler(cache.size(), {.batch = size_t(settings_.batch), .shuffle = false, .drop_last = false});
  BatchLoader loader(cache, sampler.epoch(0));
  std::vector<int64_t> positions;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  size_t started = 0;  // images; a batch is in flight while the next is prepared
  bool go_on = true;
  const auto finish = [&](size_t done) {
    executor_->wait();
    go_on = go_on && (!progress || progress(done));
  };
  while (go_on && loader.next(positions, pixels)) {
    labels.assign(positions.size(), -1);
    const size_t before = started;
    for (size_t i = 0; i < positions.size(); ++i) {
      if (positions[i] == kPadding) continue;
      const int label = cache.sample(size_t(positions[i])).label;
      labels[i] = label < 0 || label_map.empty() ? label : label_map[size_t(label)];
      ++started;
    }
    start_batch(pixels, labels);
    if (executor_->in_flight() >= Executor::kMostInFlight) finish(before);
  }
  if (executor_->in_flight()) finish(started);
  if (!go_on) return std::nullopt;
  return Evaluation::of_sums(k, states_.read(kEvalSums));
}

std::vector<float> Evaluator::probabilities(std::span<const uint8_t> pixels) {
  const size_t each = size_t(settings_.size) * size_t(settings_.size) * size_t(settings_.pixel_channels);
  const size_t count = pixels.size() / each, batch = size_t(settings_.batch), k = size_t(settings_.classes);
  const std::vector<int32_t> no_labels(batch, -1);
  std::vector<float> result(count * k);
  std::vector<uint8_t> padded(batch * each);
  executor_->drain();
  for (size_t first = 0; first < count; first += batch) {
    const size_t n = std::min(batch, count - first);
    std::memcpy(padded.data(), pixels.data() + first * each, n * each);
    start_batch(padded, no_labels);
    executor_->wait();
    const std::vector<float> rows = executor_->read(step_.probabilities);
    std::copy_n(rows.begin(), n * k, result.begin() + ptrdiff_t(first * k));
  }
  return result;
}

}  // namespace vkfer
