#include "tools/train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "tools/data/sampler.h"
#include "tools/train/stepper.h"

namespace vkfer {

// What is known of a batch on its way.
struct EvaluatedBatch {
  std::vector<int32_t> labels;
  std::vector<float> valence, arousal;  // NaN: unknown
  std::vector<int64_t> positions;       // of the images in the cache; kPadding
  size_t images = 0;                    // the rest is padding

  explicit EvaluatedBatch(size_t n) : labels(n, -1), valence(n, NAN), arousal(n, NAN) {}
};

Evaluator::Evaluator(Device& device, States& states, const NetworkSettings& settings, const Target& target)
    : states_(states), settings_(settings), step_(evaluation_graph(settings)) {
  Plan plan = make_plan(step_.graph, target);
  executor_ = std::make_unique<Executor>(device, std::move(step_.graph), std::move(plan), states);
  if (has_classes()) executor_->write(step_.class_weights, std::vector<float>(size_t(settings.classes), 1.0f));
  executor_->write(step_.augment, std::vector<int32_t>(size_t(settings.batch) * 4, 0));
}

void Evaluator::start_batch(std::span<const uint8_t> pixels, const EvaluatedBatch& batch) {
  executor_->write(step_.pixels, pixels);
  if (has_classes()) executor_->write(step_.labels, batch.labels);
  if (has_affect()) {
    write_targets(*executor_, step_.valence, batch.valence);
    write_targets(*executor_, step_.arousal, batch.arousal);
  }
  executor_->submit();
}

// The images of a batch that is done.
void Evaluator::append_rows(PredictedRows& rows, const EvaluatedBatch& done) {
  Predictions& p = rows.predictions;
  const size_t k = size_t(settings_.classes);
  p.classes = settings_.classes;
  const std::vector<float> probabilities = has_classes() ? executor_->read(step_.probabilities) : std::vector<float>{};
  const auto append_affect = [&](Predictions::Affect& a, const Regression& r, const std::vector<float>& truth, size_t i, const std::vector<float>& predicted) {
    if (r.prediction) a.truth.push_back(truth[i]), a.predicted.push_back(predicted[i]);
  };
  const auto read = [&](const Regression& r) { return r.prediction ? executor_->read(r.prediction) : std::vector<float>{}; };
  const std::vector<float> valence = read(step_.valence), arousal = read(step_.arousal);
  for (size_t i = 0; i < done.positions.size(); ++i) {
    if (done.positions[i] == kPadding) continue;
    rows.positions.push_back(size_t(done.positions[i]));
    if (has_classes()) p.labels.push_back(done.labels[i]), p.probabilities.insert(p.probabilities.end(), probabilities.begin() + ptrdiff_t(i * k), probabilities.begin() + ptrdiff_t((i + 1) * k));
    append_affect(p.valence, step_.valence, done.valence, i, valence);
    append_affect(p.arousal, step_.arousal, done.arousal, i, arousal);
  }
}

std::optional<Evaluation> Evaluator::evaluate(const DecodedCache& cache, std::span<const int> label_map,
                                              const std::function<bool(size_t)>& progress, PredictedRows* rows, const View& view) {
  executor_->drain();  // of a pass that was left by an error
  const int k = settings_.classes;
  if (has_classes()) states_.write(kEvalSums, std::vector<float>(size_t(k) * size_t(k) + 2, 0.0f));
  const Sampler sampler(cache.size(), {.batch = size_t(settings_.batch), .shuffle = false, .drop_last = false});
  BatchLoader loader(cache, sampler.epoch(0));
  std::vector<int64_t> positions;
  std::deque<EvaluatedBatch> batches;  // in flight; the next is prepared meanwhile
  Compared valence, arousal;
  size_t finished = 0;  // images
  const auto finish = [&] {
    executor_->wait();
    const EvaluatedBatch& done = batches.front();
    if (has_affect()) {
      valence.append(executor_->read(step_.valence.prediction), done.valence);
      arousal.append(executor_->read(step_.arousal.prediction), done.arousal);
    }
    if (rows) append_rows(*rows, done);
    finished += done.images;
    batches.pop_front();
    return !progress || progress(finished);
  };
  const size_t most = rows && has_classes() && !executor_->is_small(step_.probabilities) ? 1 : Executor::kMostInFlight;
  bool go_on = true;
  std::vector<uint8_t> pixels;
  while (go_on && loader.next(positions, pixels)) {
    EvaluatedBatch batch(positions.size());
    batch.positions = positions;
    look_at(view, pixels, settings_.size, settings_.pixel_channels);
    for (size_t i = 0; i < positions.size(); ++i) {
      if (positions[i] == kPadding) continue;
      const Sample& sample = cache.sample(size_t(positions[i]));
      batch.labels[i] = sample.label < 0 || label_map.empty() ? sample.label : label_map[size_t(sample.label)];
      batch.valence[i] = sample.valence, batch.arousal[i] = sample.arousal;
      ++batch.images;
    }
    start_batch(pixels, batch);
    batches.push_back(std::move(batch));
    if (executor_->in_flight() >= most) go_on = finish();
  }
  while (executor_->in_flight()) go_on = finish() && go_on;
  if (!go_on) return std::nullopt;
  Evaluation e = Evaluation::of_sums(k, has_classes() ? states_.read(kEvalSums) : std::vector<float>{});
  if (has_affect()) e.valence = valence.affect(), e.arousal = arousal.affect();
  return e;
}

Answers Evaluator::answers(std::span<const uint8_t> pixels) {
  const size_t each = size_t(settings_.size) * size_t(settings_.size) * size_t(settings_.pixel_channels);
  const size_t count = pixels.size() / each, most = size_t(settings_.batch), k = size_t(settings_.classes);
  const EvaluatedBatch unknown(most);
  std::vector<uint8_t> padded(most * each);
  Answers a;
  const auto append = [&](std::vector<float>& to, Value v, size_t values) {
    if (!v) return;
    const std::vector<float> rows = executor_->read(v);
    to.insert(to.end(), rows.begin(), rows.begin() + ptrdiff_t(values));
  };
  executor_->drain();
  for (size_t first = 0; first < count; first += most) {
    const size_t n = std::min(most, count - first);
    std::memcpy(padded.data(), pixels.data() + first * each, n * each);
    start_batch(padded, unknown);
    executor_->wait();
    append(a.probabilities, step_.probabilities, n * k);
    append(a.valence, step_.valence.prediction, n);
    append(a.arousal, step_.arousal.prediction, n);
  }
  return a;
}

}  // namespace vkfer
