#pragma once
// Eigenvectors of a small symmetric matrix on the host, in double: the b x b problems that are left of a large one.
#include <vector>

namespace vkfer {

struct SymmetricEigen {
  std::vector<double> values;                  // descending
  std::vector<std::vector<double>> vectors;    // vectors[i] belongs to values[i]; orthonormal
};

// By Jacobi's rotations (Golub & Van Loan, Matrix Computations, 8.5), which keep the small eigenvalues of a graded matrix exact.
// `matrix` [n,n] row by row; its upper triangle counts.
SymmetricEigen symmetric_eigen(std::vector<double> matrix, int n);

}  // namespace vkfer
