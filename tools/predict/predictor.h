#pragma once
// What a trained network says of pictures.
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "tools/data/image.h"

namespace vkfer {

struct Trained;

struct Prediction {
  std::vector<float> probabilities;        // of the classes, in their order; empty for networks without classes
  std::optional<float> valence, arousal;   // of networks with such outputs; -1 to 1 as trained, not clipped
};

struct PredictorOptions {
  std::string precision;   // fp32, fp16 or auto; "": as the run had it
  int batch = 32;          // pictures at once at most; memory grows with it
};

// Not thread-safe. Owns the weights on the device; `device` must outlive it.
class Predictor {
 public:
  Predictor(Device& device, const Trained&, const PredictorOptions& = {});
  ~Predictor();
  Predictor(Predictor&&) noexcept;

  const std::vector<std::string>& classes() const;   // empty for networks without classes

  // Pictures of any sizes, gray or RGB: each is resized as a whole to the network's input, as evaluation does it, so it should show
  // one face and little else. One answer for each, in order.
  std::vector<Prediction> predict(std::span<const Image> pictures);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Classes from the most probable to the least; ties by their order.
std::vector<size_t> by_probability(std::span<const float> probabilities);

}  // namespace vkfer
