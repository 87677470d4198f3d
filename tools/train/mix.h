#pragma once
// Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019): pictures and their targets joined in pairs. Image i of a batch meets image
// n-1-i, as in timm; one share for the whole batch, drawn from (seed, step), so that a resume draws the same.
#include <cstdint>
#include <span>
#include <vector>

namespace vkfer {

struct MixSettings {
  double mixup = 0, cutmix = 0;   // alpha of Beta(alpha, alpha); 0: not at all. With both, each batch takes one of them, evenly
  bool any() const { return mixup > 0 || cutmix > 0; }
};

// share of the picture itself: everywhere, or, for CutMix, 1 outside of the rectangle and 0 in it.
struct BatchMix {
  double share = 1;               // in the targets
  bool cut = false;
  int top = 0, left = 0, bottom = 0, right = 0;   // rows and columns [top, bottom) x [left, right) are the partner's
};

BatchMix batch_mix(const MixSettings&, uint64_t seed, int64_t step, int size);
std::vector<float> pixel_shares(const BatchMix&, int batch, int size);   // [batch, size, size, 1]

// What a batch is to answer, as sums over its rows: loss = scale * sum of targets * -log p.
struct SoftTargets {
  std::vector<float> targets;     // [n,k], class weights and label smoothing in them
  float scale = 0;                // 1 / the weights of the classes in the batch; 0 where no row has one
};

// Rows [n,k] of probabilities, each times its image's weight; a row of zeros is ignored. With rows of one class and weight 1 this is what
// softmax_cross_entropy computes.
SoftTargets soft_targets(std::span<const double> rows, std::span<const float> class_weights, double smoothing);
// share * rows + (1 - share) * those of the partners: where nobody knows one of the two, the other's part alone counts.
std::vector<double> mixed_rows(std::span<const double> rows, size_t classes, double share);
// The same for a number an image, NaN where it is not known: known only where both are.
std::vector<float> mixed_values(std::span<const float> values, double share);

}  // namespace vkfer
