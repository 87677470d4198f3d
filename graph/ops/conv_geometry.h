#pragma once
// The numbers of a convolution, checked once; every engine's lowering starts from them.
#include <algorithm>

#include "graph/op.h"
#include "graph/ops/util.h"

namespace vkfer::ops {

struct ConvGeometry {
  int64_t n, in_h, in_w, in_c, out_h, out_w, out_c, filter_h, filter_w;
  int64_t stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;  // pad: top and left; bottom and right only shape the output
  int64_t groups;
  bool depthwise() const { return groups > 1 && groups == in_c && groups == out_c; }
  // One multiply-add counts as two.
  double flops() const { return 2.0 * double(n * out_h * out_w * out_c) * double(filter_h * filter_w * (in_c / groups)); }
};

// Fails, naming the node, when the attributes or shapes do not fit together.
ConvGeometry conv_geometry(std::string_view op, const Attrs&, const Shape& x, const Shape& filter, std::string_view label);

// Which optional inputs follow x and filter.
struct Epilogue {
  bool bias = false, residual = false;
  uint32_t activation = 0;
  int bias_input() const { return 2; }
  int residual_input() const { return bias ? 3 : 2; }
};
Epilogue epilogue_of(const Attrs&, std::string_view label);

// One stride phase of the input's gradient along one axis: input positions iy = q * stride + phase are met by the taps
// r = first + i * step, at output row q + off + i * move.
struct StridePhase {
  int64_t count, taps, first, step, off, move;
};
StridePhase stride_phase(int64_t phase, int64_t in, int64_t size, int64_t stride, int64_t pad, int64_t dilation);

// ---- engines: conv_direct.cpp, conv_gemm.cpp, conv_shared.cpp, conv_coopmat.cpp, depthwise.cpp ------------------------

struct ConvEngine {
  Engine least;                                             // of the target
  bool (*fits)(const Lowering&, const ConvGeometry&);
  void (*forward)(Lowering&, const ConvGeometry&, const Epilogue&);
  void (*grad_input)(Lowering&, const ConvGeometry&);
  void (*grad_filter)(Lowering&, const ConvGeometry&);
};
// The fastest that the target allows and that can do it; linear takes the same table.
const ConvEngine& conv_engine(const Lowering&, const ConvGeometry&);

void lower_conv_direct(Lowering&, const ConvGeometry&, const Epilogue&);
void lower_conv_direct_grad_input(Lowering&, const ConvGeometry&);
void lower_conv_direct_grad_filter(Lowering&, const ConvGeometry&);

void lower_conv_gemm(Lowering&, const ConvGeometry&, const Epilogue&);
void lower_conv_gemm_grad_input(Lowering&, const ConvGeometry&);
void lower_conv_gemm_grad_filter(Lowering&, const ConvGeometry&);

bool conv_coopmat_fits(const Lowering&, const ConvGeometry&);
void lower_conv_coopmat(Lowering&, const ConvGeometry&, const Epilogue&);
void lower_conv_coopmat_grad_input(Lowering&, const ConvGeometry&);
void lower_conv_coopmat_grad_filter(Lowering&, const ConvGeometry&);

bool conv_shared_fits(const Lowering&, const ConvGeometry&);
void lower_conv_shared(Lowering&, const ConvGeometry&, const Epilogue&);
void lower_conv_shared_grad_input(Lowering&, const ConvGeometry&);
void lower_conv_shared_grad_filter(Lowering&, const ConvGeometry&);

bool depthwise_kernel_fits(const ConvGeometry&);
void lower_depthwise(Lowering&, const ConvGeometry&, const Epilogue&);
void lower_depthwise_grad_input(Lowering&, const ConvGeometry&);
void lower_depthwise_grad_filter(Lowering&, const ConvGeometry&);

// Slices of a reduction that fill the device where each takes `lanes` of it and makes `parts` partial results of an element. At most some
// hundreds of these: one lane adds them up one after another, which takes longer, beyond that, than more lanes before it save.
inline int64_t filling_slices(const Lowering& l, int64_t lanes, int64_t parts = 1) {
  constexpr int64_t kMostParts = 512;
  return std::min(divide_round_up(int64_t(l.target.parallel_groups) * l.target.workgroup, lanes), divide_round_up(kMostParts, parts));
}

// Adds up `slices` partial results of `count` floats each, lying `count` apart.
void sum_slices(Lowering&, Binding partial, Binding out, int64_t count, int64_t slices);

}  // namespace vkfer::ops
