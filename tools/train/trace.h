#pragma once
// A few training steps laid open: everything another framework needs to check ours against its own.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/registry.h"
#include "models/weights/weight_file.h"
#include "runtime/device.h"

namespace vkfer {

struct TraceOptions {
  std::string model = "mobilenetv2";
  std::string head;                    // "": the model's own; see models/head.h
  int size = 0;                        // 0: the model's own
  int classes = 7;
  int batch = 0, channels = 3;
  std::vector<float> x;                // NCHW [batch,channels,size,size], already preprocessed
  std::vector<int64_t> labels;         // [batch]; negative: ignored by the loss; empty with 0 classes
  bool valence_arousal = false;        // outputs beside the classes, or alone with 0 classes
  std::vector<float> affect;           // [batch,2], with these: valence and arousal; NaN: ignored by the loss
  std::string optimizer = "sgd";       // a name of optimizers()
  double lr = 0.01, momentum = 0, weight_decay = 0;
  bool nesterov = false;
  double label_smoothing = 0;
  int steps = 1;
  uint64_t seed = 1;                   // of the initial parameters when there are no weights
  std::optional<WeightFile> weights;
  std::string precision = "fp32";      // or fp16, auto; gradients are written unscaled
  bool same_padding = false;           // see ModelOptions
  BatchNormChoice batch_norm;          // see ModelOptions
  bool frozen_bn = false;              // running statistics instead of the batch's, and they stay as they are
};

// The same batch every step; no dropout, no stochastic depth, no augmentation. Names and layouts as torch's state_dict:
//   logits.eval   [n,k] before any step, with running statistics
//   logits        [n,k] of step 0, training mode
//   valence.eval, valence, arousal.eval, arousal   [n], the same of these
//   loss          [steps]: cross-entropy, and the mean squares of valence and arousal
//   grad.<name>   of step 0
//   param.<name>, buffer.<name>   after the last step
//   init.<name>   what it started from, when no weights were given
WeightFile run_trace(Device&, const TraceOptions&);

}  // namespace vkfer
