#include "tools/predict/predictor.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tools/predict/trained.h"
#include "tools/train/evaluate_samples.h"
#include "tools/train/evaluator.h"
#include "tools/train/resize.h"

namespace vkfer {

struct Predictor::State {
  Device& device;
  NetworkSettings network;
  Target target;
  std::vector<std::string> classes;
  int batch;
  States states;
  DeviceResize resize;
  std::map<int, Evaluator> evaluators;   // by pictures at once: powers of two, so that one picture does not cost a full batch

  State(Device& device, const Trained& trained, const PredictorOptions& options)
      : device(device),
        network(trained.network_on(device, options.precision)),
        target(trained.target_on(device)),
        classes(trained.class_names()),
        batch(options.batch),
        states(device),
        resize(device) {
    network.pixel_channels = network.channels;
    load_weights(trained.saved.weights, evaluation_graph(network).graph, states, {.classifier = network.classifier()});
  }

  Evaluator& evaluator(size_t pictures) {
    const int size = std::min(batch, int(std::bit_ceil(std::min(pictures, size_t(batch)))));
    if (const auto found = evaluators.find(size); found != evaluators.end()) return found->second;
    network.batch = size;
    return evaluators.try_emplace(size, device, states, network, target).first->second;
  }
};

Predictor::Predictor(Device& device, const Trained& trained, const PredictorOptions& options) {
  if (options.batch < 1) fail("predict", "batch: got {}, expected at least 1", options.batch);
  state_ = std::make_unique<State>(device, trained, options);
}
Predictor::~Predictor() = default;
Predictor::Predictor(Predictor&&) noexcept = default;

const std::vector<std::string>& Predictor::classes() const { return state_->classes; }

std::vector<Prediction> Predictor::predict(std::span<const Image> pictures) {
  State& s = *state_;
  std::vector<Prediction> predictions;
  while (predictions.size() < pictures.size()) {
    const std::span<const Image> some = pictures.subspan(predictions.size(), std::min(pictures.size() - predictions.size(), size_t(s.batch)));
    std::vector<Image> converted;
    for (const Image& picture : some) converted.push_back(convert_channels(picture, s.network.channels));
    const Answers answers = s.evaluator(some.size()).answers(s.resize(converted, s.network.size));
    check_answers_finite(answers.probabilities);
    check_answers_finite(answers.valence);
    check_answers_finite(answers.arousal);
    const size_t k = s.classes.size();
    for (size_t i = 0; i < some.size(); ++i) {
      Prediction& p = predictions.emplace_back();
      const auto row = std::span(answers.probabilities).subspan(i * k, k);
      p.probabilities.assign(row.begin(), row.end());
      if (!answers.valence.empty()) p.valence = answers.valence[i], p.arousal = answers.arousal[i];
    }
  }
  return predictions;
}

std::vector<size_t> by_probability(std::span<const float> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  return order;
}

}  // namespace vkfer
