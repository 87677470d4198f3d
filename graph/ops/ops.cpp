#include "graph/ops/ops.h"

namespace vkfer {

using namespace ops;

std::span<const OpDef* const> all_ops() {
  static constexpr const OpDef* kAll[] = {
      &conv2d, &conv2d_grad_input, &conv2d_grad_filter, &conv_transpose2d,
      &linear, &linear_grad_input, &linear_grad_weight, &channel_sum,
      &batch_norm, &batch_norm_grad, &batch_norm_apply, &batch_norm_eval, &batch_norm_eval_grad, &fold_filter, &fold_bias,
      &relu, &relu6, &silu, &sigmoid, &hardswish, &activation_grad,
      &add, &mul, &mul_grad_scale, &squeeze_excite, &squeeze_excite_grad, &scale, &cast, &dropout, &stochastic_depth, &flatten, &reshape,
      &max_pool, &max_pool_grad, &avg_pool, &avg_pool_grad,
      &adaptive_avg_pool, &adaptive_avg_pool_grad,
      &global_avg_pool, &global_avg_pool_grad, &global_max_pool, &global_max_pool_grad,
      &softmax_cross_entropy, &softmax_cross_entropy_grad, &softmax, &mse, &mse_grad, &ccc_loss, &ccc_loss_grad, &classification_sums, &squared_error_sums,
      &sgd, &adam, &accumulate, &ema, &sum_squares, &clip_scale, &nonfinite, &loss_scale_update,
      &normalize, &warp, &resample,
      &unary, &unary_grad, &binary, &binary_grad, &where,
      &transpose, &expand, &slice, &pad, &concat,
      &reduce, &arg_reduce, &softmax_axis, &matmul,
      &gather, &gather_grad, &one_hot, &cumsum, &resize, &resize_grad, &border, &border_grad,
      &affinities, &tsne_forces, &tsne_step,
  };
  return kAll;
}

const OpDef* find_op(std::string_view name) {
  for (const OpDef* op : all_ops())
    if (op->name == name) return op;
  return nullptr;
}

}  // namespace vkfer
