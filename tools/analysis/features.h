#pragma once
// What a network makes of pictures before it answers: the penultimate features, and the pictures themselves as rows.
#include <functional>
#include <memory>
#include <vector>

#include "graph/executor.h"
#include "tools/analysis/matrix.h"
#include "tools/data/cache.h"
#include "tools/train/step_graph.h"

namespace vkfer {

struct PictureRows {
  Matrix values;                   // [n,d]
  std::vector<size_t> positions;   // [n]: in the cache. Fewer than it holds only where pictures turned out unreadable, with skip_bad
};

using PictureProgress = std::function<void(size_t done, size_t total)>;   // may be empty

// The [n,d] values that enter the last linear layer of the class output (of valence where there are no classes); see anatomy.h.
class PenultimateFeatures {
 public:
  // As an Evaluator, uses the parameters in `states`: load_weights(weights, features.graph(), states, ...). Batches of settings.batch, in f32.
  PenultimateFeatures(Device&, States&, const NetworkSettings&, const Target&);
  ~PenultimateFeatures();

  const Graph& graph() const;
  int64_t columns() const;         // d

  // All of `cache`, in its order. Its pictures must be as the settings say: of settings.size, with pixel_channels.
  PictureRows rows(const DecodedCache& cache, const PictureProgress& progress = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Raw pixels, 0 to 1, as rows of size * size * channels numbers.
PictureRows pixel_rows(const DecodedCache&);

}  // namespace vkfer
