// Push constants of batch normalisation, read by GLSL and by C++.
#ifdef __cplusplus
#pragma once
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

// x is [rows, c]; units, spans, parts and chunks as in shaders/include/columns.glsl.
struct BatchNorm {
  uint span, whole, tail_units, chunk_steps, parts, row_units, groups;
  float inverse_parts, inverse_row_units;
  uint first_chunk;     // where this launch's partial results stand: large batches take several launches
  float eps;
  float inverse_rows;   // gradient: 1 / rows of the whole batch
};

// Combines `parts` partial results of c channels each.
struct BatchNormFinish {
  uint c, parts;
  float eps, momentum;
};

// All rows in one launch.
struct BatchNormOnce {
  uint rows, row_units, groups;
  float eps, momentum;
};

struct Fold {
  uint count, c;   // elements; output channels
  float eps;
};
#ifdef __cplusplus
}
#endif
