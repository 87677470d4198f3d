#pragma once
// Points of many dimensions laid out in two or three so that neighbours stay neighbours: exact t-SNE, van der Maaten & Hinton, Visualizing
// Data using t-SNE, 2008, with the settings of scikit-learn's method="exact", all on the device.
//
// Usually of principal components: tsne(device, target, pca(device, target, rows, {.components = 50}).scores).
#include <functional>
#include <string>

#include "graph/executor.h"
#include "tools/analysis/matrix.h"

namespace vkfer {

struct TsneOptions {
  int dimensions = 2;                // or 3
  double perplexity = 30;            // about how many neighbours count; lowered to a third of the other points
  int iterations = 1000;             // of which the first 250, or fewer, exaggerate
  int exploration = 250;
  double exaggeration = 12;
  double rate = 0;                   // of learning; 0: n / exaggeration / 4, at least 50
  std::function<void(int done, int total)> progress;   // in iterations; may be empty
};

struct Tsne {
  Matrix points;                     // [n,dimensions]
  double divergence = 0;             // Kullback and Leibler's, of the points from the rows: the less, the better
  double perplexity = 0;             // that was used
  std::string message;               // for people: why it is another than asked for; else ""
};

// x: [n,d], at least 4 rows, finite. Starts from the first principal components, their first with a standard deviation of 1e-4. In three
// dimensions the embedding's distribution has two degrees of freedom, as in scikit-learn, but the descent follows the derivative, which there it
// does not: the divergence is a few percent lower. Memory: n^2 floats on the device. The same input gives the same bits on the same device and
// driver.
Tsne tsne(Device&, const Target&, const Matrix& x, const TsneOptions& options = {});

}  // namespace vkfer
