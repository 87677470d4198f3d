#pragma once
#include "graph/op.h"

namespace vkfer::ops {

// [taps, rows, columns] -> [taps, columns, rows], both `storage`.
void transpose_matrices(Lowering&, Binding from, Binding to, DType storage, int64_t taps, int64_t rows, int64_t columns);

}  // namespace vkfer::ops
