// Cooperative matrices of the coopmat engine: their types, where a subgroup's stand in the workgroup's tile, and how sums get
// back to plain invocations. Subgroups stand in kGridsAcross columns, each with a grid of matrices.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

layout(constant_id = 9) const uint kM = 16;           // the device's matrices: kM x kK times kK x kN
layout(constant_id = 10) const uint kN = 16;
layout(constant_id = 11) const uint kK = 16;
layout(constant_id = 12) const uint kGridRows = 2;    // matrices of a subgroup
layout(constant_id = 13) const uint kGridColumns = 2;
layout(constant_id = 14) const uint kGridsAcross = 2;
layout(constant_id = 15) const uint kSubgroups = 4;   // of a workgroup

const uint kStep = 32;
const uint kPad = 2;  // f16vec4 behind each row in shared memory

#define Left coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA>
#define Right coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB>
#define Sum coopmat<float, gl_ScopeSubgroup, kM, kN, gl_MatrixUseAccumulator>

// Row and column of this subgroup's grid within the tile.
uint grid_row() { return gl_SubgroupID / kGridsAcross * kGridRows * kM; }
uint grid_column() { return gl_SubgroupID % kGridsAcross * kGridColumns * kN; }

// Stores a vec4 of the tile where it belongs; the column counts blocks of four.
void store_tile(uint row, uint column, vec4 v);

// One matrix of each subgroup at a time.
const uint kSumBlocks = kN / 4, kSumStride = kSumBlocks + 1;
shared vec4 sum_tile[kSubgroups * kM * kSumStride];

void subgroup_sync() { controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared, gl_SemanticsAcquireRelease); }

void store_sum(Sum sum, uint row, uint column) {
  uint start = gl_SubgroupID * kM * kSumStride;
  subgroup_sync();  // the matrix before has been read
  coopMatStore(sum, sum_tile, start, kSumStride, gl_CooperativeMatrixLayoutRowMajor);
  subgroup_sync();
  for (uint e = gl_SubgroupInvocationID; e < kM * kSumBlocks; e += gl_SubgroupSize) {
    uint line = e / kSumBlocks, block = e - line * kSumBlocks;
    store_tile(row + line, column / 4u + block, sum_tile[start + line * kSumStride + block]);
  }
}
