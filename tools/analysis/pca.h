#pragma once
// Principal components of rows of numbers: the first eigenvectors of their covariance, by orthogonal iteration on a block (Rutishauser, 1970;
// Halko, Martinsson, Tropp: Finding Structure with Randomness, 2011).
//
// The products with the data, all the work there is, run on the device: neither a covariance nor a Gram matrix is made. The host, in double, keeps the
// block orthonormal and solves what is left, a matrix as wide as the block.
#include <string>
#include <vector>

#include "graph/executor.h"
#include "tools/analysis/matrix.h"

namespace vkfer {

struct PcaOptions {
  int components = 50;
  int most_turns = 300;                 // of the iteration
};

struct Pca {
  Matrix scores;                        // [n,k]: the centred rows in the components' coordinates
  Matrix components;                    // [k,d], orthonormal, by falling variance; the largest element of each by magnitude (the first of equal ones) is positive
  std::vector<double> mean;             // [d]
  std::vector<double> variances;        // [k], with n - 1 as scikit-learn's explained_variance_
  std::vector<double> shares;           // [k]: of the variance of all d columns; 0 where there is none
  int turns = 0;                        // of the iteration
  bool settled = true;                  // false: it ended at most_turns, with variances still rising. Then they are lower bounds
  std::string message;                  // for people: why there are fewer components than asked for; else ""
};

// x: [n,d], at least 2 rows, finite. k is options.components, at most d and n - 1. The same input gives the same bits.
Pca pca(Device&, const Target&, const Matrix& x, const PcaOptions& options = {});

}  // namespace vkfer
