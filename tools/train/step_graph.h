#pragma once
// The two graphs of a classifier: one training step, and one batch of evaluation. Both name their states alike, so they
// share parameters through States.
//
//   pixels u8 [n,s,s,c0] ─ normalize ─► images [n,s,s,c] ─ model ─► logits [n,k] ─ softmax_cross_entropy ─► loss [1]
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "models/registry.h"
#include "tools/train/optimizers.h"

namespace vkfer {

inline constexpr const char* kTrainSums = "metrics.train";  // state [k*k+2], see ops::classification_sums; and with ".valence"
                                                            // and ".arousal" behind it [2], see ops::squared_error_sums
inline constexpr const char* kEvalSums = "metrics.eval";

struct NetworkSettings {
  const ModelInfo* model = nullptr;
  int size = 48, channels = 3, classes = 7, batch = 32;
  int pixel_channels = 1;           // c0 of `pixels`; 0: the input is `images`, already preprocessed
  Preprocessing preprocessing;
  double dropout = -1;              // -1: the model's own
  bool warp = false;                // while training, pictures go through ops::warp
  double label_smoothing = 0, focal_gamma = 0;  // of the training loss
  bool mix = false;                 // while training, pictures meet partners: see StepGraph::partner_pixels
  bool soft_targets = false;        // the training loss takes StepGraph::targets, smoothed and weighted already
  bool ccc = false;                 // the training loss of valence and arousal is 1 - CCC, else the mean square
  std::array<double, 3> task_weights{1, 1, 1};  // of the training loss: classes, valence, arousal
  double backbone_rate = 1;         // what the backbone's learning rates are multiplied by
  bool decay_all = true;            // false: biases and the scales and shifts of norms do not decay
  bool frozen_batch_norm = false;   // while training
  bool same_padding = false;        // see ModelOptions
  BatchNormChoice batch_norm;       // see ModelOptions
  DType storage = DType::f32;       // of activations; f16 also scales the loss while training
  std::string head, freeze;         // see models/head.h, models/freeze.h
  std::vector<std::string> freezes_before;  // of the phases of training before this one, in order
  bool sum_gradients = false;       // see training_graph()
  bool recompute = false;           // cheap activations are computed again while going back, not kept: less memory, the same bits
  bool valence_arousal = false;     // outputs beside the classes
  bool stochastic = true;           // false: no dropout and no stochastic depth

  std::string classifier() const { return classifier_of(*model, head); }
};

// One number an image, and its loss over the images whose mask is 1.
struct Regression {
  Value prediction, target, mask;   // f32 [n,1]; invalid without valence_arousal
  Value share;                      // as StepGraph::class_share
};

inline constexpr const char* kLossScale = "loss_scale";               // state [1]: what the gradients are too large by
inline constexpr const char* kLossScaleCounts = "loss_scale.counts";  // state [2], see ops::loss_scale_update; with f16 storage
inline constexpr const char* kAverage = "ema.";                       // and the parameter's name: a state, with OptimizerSettings::ema
inline constexpr const char* kGradientSum = "gradient_sum.";          // and the parameter's name: a state, with sum_gradients

struct StepGraph {
  Graph graph;
  Value pixels, augment;            // u8 [n,s,s,c0], i32 [n,4]; invalid when pixel_channels is 0
  Value warp;                       // f32 [n,20], see ops::warp; training with NetworkSettings::warp only
  Value partner_pixels, partner_augment, partner_warp;  // as those of the pictures; training with NetworkSettings::mix only
  Value share;                      // f32 [n,s,s,1]: of the picture, the rest is its partner's; there, too
  Value images;                     // f32 [n,s,s,c]
  Value labels;                     // i32 [n]; negative: the row is ignored
  Value class_weights;              // f32 [k]; invalid with soft targets
  Value targets, target_scale;      // f32 [n,k], [1]: see SoftTargets in mix.h; training with NetworkSettings::soft_targets only
  Value step;                       // i32 [5], see ops::dropout; invalid when there is no dropout
  Value hyper;                      // f32 [8]; training only, without sum_gradients
  std::vector<Value> joined_hyper;  // f32 [8]: of what joined in the second phase, the third, ...; invalid where nothing did
  Value ema_decay;                  // f32 [1]; with OptimizerSettings::ema, where hyper is
  Value class_share;                // f32 [1]: of the batch's class weights, those of this run's images; with sum_gradients
  Value first;                      // f32 [1]: not 0 begins new sums; with sum_gradients
  Value loss_scale;                 // state [1]; training with f16 storage only
  Value logits, probabilities;      // [n,k]; invalid with 0 classes, as labels and class_weights are
  Regression valence, arousal;
  Value loss;                       // [1]
  std::vector<std::pair<std::string, Value>> gradients;  // by parameter's name; training only
};

// What build_model() is to build of it, for training or not.
ModelOptions model_options(const NetworkSettings&, bool training);

// The network alone as it infers, unfused, for one image: `images` in, every output named and readable.
Graph inference_graph(const NetworkSettings&);

// Ends in the optimizer's updates and in classification_sums over kTrainSums. `keep_gradients` makes them readable.
// With sum_gradients a run takes a piece of the batch, and ends in sums of gradients instead: loss and gradients are those of the
// piece times its share, so that over the pieces they add up to the batch's. optimizer_graph() then does the rest of the step.
StepGraph training_graph(const NetworkSettings&, const OptimizerDef&, const OptimizerSettings&, bool keep_gradients = false);

// What follows when training_graph() with sum_gradients has run for every piece; `pieces` is what it returned.
StepGraph optimizer_graph(const NetworkSettings&, const StepGraph& pieces, const OptimizerDef&, const OptimizerSettings&);

// Running statistics, no dropout, no smoothing; ends in classification_sums over kEvalSums.
StepGraph evaluation_graph(const NetworkSettings&);

}  // namespace vkfer
