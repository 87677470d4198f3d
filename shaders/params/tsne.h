// Push constants of t-SNE's shaders, read by GLSL and by C++. Points are columns: of n points [d,N], where N is n rounded up to a
// multiple of 4.
#ifndef VKFER_PARAMS_TSNE_H
#define VKFER_PARAMS_TSNE_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

// The settings of a run, f32 [5]: what P is multiplied by, momentum, learning rate, whether to forget what was before, whether to
// measure the divergence.
const uint kExaggeration = 0, kMomentum = 1, kRate = 2, kFresh = 3, kMeasure = 4, kTsneSettings = 5;

struct Affinities {
  uint points;             // n
  uint vectors;            // N / 4
  uint dimensions;         // of a point
  uint first, rows;        // of the matrix: those that are bound
  float entropy;           // wanted: log of the perplexity
  float factor;            // of the joint probabilities: 1 / 2n
  Divisor by_vectors;
};

struct TsneForces {
  uint points, vectors;
  uint first, rows;        // of P: those that are bound
  uint per_slice, first_slice, slices;  // rows are cut into slices; the first one's number
  Divisor by_groups;       // workgroups of a slice
};

struct TsneStep {
  uint count, columns;     // numbers: dimensions * N; N
  float factor;            // of the gradient
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
