#pragma once
// Every op, with its inputs, outputs and attributes. Shapes are [n,h,w,c]; "storage" means f32 or f16, the rest is f32.
// `activation` is one of none, relu, relu6, silu, sigmoid, hardswish (the epilogue of several ops).
#include "graph/op.h"

namespace vkfer::ops {

// ---- conv.cpp ---------------------------------------------------------------------------------------------------
// conv2d(x [n,h,w,ci], filter [r,s,ci/groups,co] (, bias [co]) (, residual like y)) -> y [n,oh,ow,co]
//   stride = {y,x} (1,1); pad = {top,left,bottom,right} (0); dilation = {y,x} (1,1); groups (1);
//   bias = 0|1, residual = 0|1 say which optional inputs follow, in this order; y = activation(conv + bias + residual)
// conv2d_grad_input(dy, filter) -> dx; attr input = the shape of x.  conv2d_grad_filter(x, dy) -> dfilter f32; attr filter = its shape
extern const OpDef conv2d, conv2d_grad_input, conv2d_grad_filter;
// conv_transpose2d(x [n,h,w,ci], filter [r,s,co/groups,ci]) -> [n,oh,ow,co], oh = (h-1)*stride + dilation*(r-1) + 1 + output_padding - pads;
//   attrs of conv2d, output_padding = {y,x} (0), less than the stride
extern const OpDef conv_transpose2d;
// depthwise: conv2d with groups == ci and co == ci takes its own kernels (depthwise.cpp), under the same op.
// linear(x [n,k], weight [k,m] (, bias [m])) -> [n,m]     bias = 0|1, activation
extern const OpDef linear, linear_grad_input, linear_grad_weight;
// channel_sum(x [...,c]) -> [c]: gradients of biases
extern const OpDef channel_sum;

// ---- batch_norm.cpp ------------------------------------------------------------------------------------------------
// batch_norm(x, gamma [c], beta [c], running_mean [c], running_var [c] (, residual like x))
//   -> y, mean [c], invstd [c], new_running_mean [c], new_running_var [c]    training: batch statistics
//   eps (1e-5), momentum (0.1: new = (1-momentum)*old + momentum*batch; the variance unbiased, as torch), activation, residual = 0|1
//   y = activation(gamma * (x-mean)*invstd + beta + residual)
extern const OpDef batch_norm, batch_norm_grad;
// batch_norm_apply(x, gamma, beta, mean [c], invstd [c] (, residual)) -> y: batch_norm's first output from the statistics it has found
extern const OpDef batch_norm_apply;
// batch_norm_eval(x, gamma, beta, running_mean, running_var (, residual)) -> y: running statistics (evaluation, frozen layers)
extern const OpDef batch_norm_eval, batch_norm_eval_grad;
// fold_filter(filter [r,s,ci,co], gamma, running_var) -> filter * gamma / sqrt(var + eps);   eps
// fold_bias(gamma, beta, running_mean, running_var (, bias)) -> beta + (bias - mean) * gamma / sqrt(var + eps);  eps, bias = 0|1
extern const OpDef fold_filter, fold_bias;

// ---- elementwise.cpp --------------------------------------------------------------------------------------------
extern const OpDef relu, relu6, silu, sigmoid, hardswish;           // (x) -> y
extern const OpDef activation_grad;                                 // (x, dy) -> dx; attr function = relu|...
extern const OpDef add;                                             // (a, b) same shape
extern const OpDef mul;                                             // (a [n,h,w,c], b same or [n,1,1,c])
extern const OpDef mul_grad_scale;                                  // (a, dy) -> [n,1,1,c] sums over h,w
// ---- squeeze_excite.cpp
// squeeze_excite(x [n,h,w,c], filter1 f32 [1,1,c,s], bias1 [s], filter2 f32 [1,1,s,c], bias2 [c]) -> y like x, gate [n,c], means [n,c], z f32 [n,s]
//   z = mean over h,w of x, times filter1, + bias1; gate = sigmoid(activation(z) filter2 + bias2); y = x * gate; attr activation (silu)
// squeeze_excite_grad(x, dy, gate, means, z, filter1, filter2) -> dx, dfilter1, dbias1, dfilter2, dbias2
extern const OpDef squeeze_excite, squeeze_excite_grad;
extern const OpDef scale;                                           // (x) -> factor * x; attr factor
extern const OpDef cast;                                            // (x) -> same shape; attr to = f32|f16|i32 (towards zero)|bool (i32: 0 or 1)
// dropout(x, step i32 [5] = {seed low, seed high, step low, step high, first row}) -> y; attrs p, salt (a number unique to the layer).
// Philox4x32-10, counter = {element/4, salt, step low, step high}, key = seed: replay and resume agree. Kept elements are scaled by 1/(1-p).
// Of a batch in pieces, `first row` says where x begins: the pieces draw what the whole would.
extern const OpDef dropout;
// stochastic_depth(x [n,...], step i32 [5] (, residual like x)) -> y = keep(n) * x / (1-p) (+ residual); attrs p, salt, residual = 0|1.
// Drops whole rows of dimension 0: counter = {row, salt, step low, step high}.
extern const OpDef stochastic_depth;
// flatten(x [n,h,w,c]) -> [n,h*w*c];  reshape(x) -> attr shape; also of i32
extern const OpDef flatten, reshape;

// ---- pool.cpp -----------------------------------------------------------------------------------------------------
// max_pool / avg_pool(x) -> y; kernel={y,x}, stride={y,x}, pad={t,l,b,r}, ceil_mode 0|1, avg: count_include_pad 0|1 (1)
extern const OpDef max_pool, max_pool_grad, avg_pool, avg_pool_grad;
// adaptive_avg_pool(x [n,h,w,c]) -> [n,oh,ow,c], attr size = {oh,ow}: output i averages rows floor(i*h/oh) to ceil((i+1)*h/oh), as torch,
// whether h is larger or smaller than oh
extern const OpDef adaptive_avg_pool, adaptive_avg_pool_grad;
extern const OpDef global_avg_pool, global_avg_pool_grad;           // (x [n,h,w,c]) -> [n,c]
extern const OpDef global_max_pool, global_max_pool_grad;

// ---- loss.cpp -----------------------------------------------------------------------------------------------------
// softmax_cross_entropy(logits [n,k], labels i32 [n], class_weights [k]) -> loss [1], probabilities [n,k], row_loss [n]
//   label_smoothing (0), focal_gamma (0); rows with label < 0 are ignored; loss = sum(w_i l_i) / sum(w_i) as torch's weighted mean
//   (0 when every row is ignored)
extern const OpDef softmax_cross_entropy, softmax_cross_entropy_grad;
extern const OpDef softmax;                                         // (x [n,k]) -> [n,k], no gradient: inference
// mse(prediction [n,k], target [n,k], mask [n,k]) -> loss [1] = sum(mask*(p-t)^2)/max(sum(mask),1)
extern const OpDef mse, mse_grad;
// ccc_loss(prediction [n,k], target, mask) -> loss [1] = 1 - Lin's concordance correlation over what the mask keeps: see ccc.cpp
extern const OpDef ccc_loss, ccc_loss_grad;
// classification_sums(probabilities [n,k], labels i32 [n], row_loss [n], old [k*k+2]) -> new [k*k+2]: += confusion[true][predicted]
// (row-major), then the number of labelled rows, then the sum of their row_loss. Written in place over a state. Ties: lowest class.
//   attr finite = 0|1 (0): rows whose row_loss is infinite or no number are left out, as those of steps that mixed precision skips
extern const OpDef classification_sums;

// squared_error_sums(prediction [n,k], target, mask, old [2]) -> new [2]: += sum(mask), sum(mask*(p-t)^2). Written in place over a state.
//   attr finite as above
extern const OpDef squared_error_sums;

// ---- optimizer.cpp ------------------------------------------------------------------------------------------------
// hyper f32 [8] = {learning rate, momentum | beta1, beta2, eps, weight decay, 1/(1-beta1^t), 1/(1-beta2^t), 1-beta2 formed in double}, written each step
//   (a last entry of 0 lets the shader form 1-beta2 from the rounded beta2: off by 5e-5 at 0.999)
// sgd(param, grad, velocity, hyper) -> new param, new velocity; attr nesterov; coupled L2; velocity = momentum*velocity + grad (torch: first step
//   velocity = grad, the same as starting from zero)
// adam(param, grad, m, v, hyper) -> new param, new m, new v; attr decoupled 0|1 (AdamW), epsilon = torch (outside sqrt(v_hat)) | keras
// Both take many parameters at once: with attr tensors = n the inputs are n params, then n grads, n velocities (or m, v), hyper, the outputs n new
//   params, then n new velocities. rate_factors, decay_factors (lists of n numbers, default 1) multiply a tensor's learning rate and weight decay.
// Both take (..., hyper, loss_scale [1] (, nonfinite [1])): gradients are divided by the scale; all stays as it is when nonfinite is not 0.
extern const OpDef sgd, adam;

// ---- follow.cpp: both take many tensors at once: with attr tensors = n the inputs are n of the first kind, n x, the number
// accumulate(sum, x, first [1]) -> new sum = x where first is not 0, else sum + x
// ema(average, x, decay [1]) -> new average = decay * average + (1 - decay) * x
extern const OpDef accumulate, ema;
// ---- gradient_norm.cpp
// sum_squares(x (x n: attr tensors) (, earlier [1])) -> [1] = earlier + sum of x^2
// clip_scale(sum [1], scale [1]) -> [1] = scale / min(1, max_norm / (sqrt(sum) / scale + 1e-6)): what the optimizers are to divide by; attr max_norm
extern const OpDef sum_squares, clip_scale;

// ---- loss_scale.cpp -----------------------------------------------------------------------------------------------
// nonfinite(x (x n: attr tensors) (, earlier [1])) -> [1]: 1 when an element is infinite or no number, or when earlier is not 0; else 0
extern const OpDef nonfinite;
// loss_scale_update(scale [1], counts [2] = {good steps since the scale changed, skipped steps}, nonfinite [1]) -> new scale, new counts;
//   growth (2), backoff (0.5), interval (2000: good steps before it grows)
extern const OpDef loss_scale_update;

// ---- image.cpp ----------------------------------------------------------------------------------------------------
// normalize(pixels u8 [n,s,s,c0], augment i32 [n,4] = {flip, dy, dx, 0}) -> [n,s,s,channels]: shifted by (dy,dx) with zero (black) fill, flipped,
//   gray replicated (or colour averaged to gray when channels = 1 and c0 = 3: ITU-R 601 weights), then (pixel*scale - mean[c]) / std[c];  attrs channels, scale (1/255), mean, std (lists),
//   to = f32|f16 (f32): storage of the result
extern const OpDef normalize;
// warp(pixels u8 [n,h,w,c], table f32 [n,20] = {map by rows (9), brightness, contrast, mean, saturation, top, left, bottom, right, fill, 0, 0})
//   -> u8 like pixels: bilinear at the source that the projective map gives for a pixel's centre, the border going on outside; then colour;
//   then the rectangle is filled. shaders/warp.comp has the formulas.
extern const OpDef warp;
// resample(bytes u8 [capacity], table i32 [n,8] = {byte offset, height, width, channels, y0, x0, crop height, crop width}) -> u8 [n,s,s,channels]:
//   triangle filter with antialiasing (as PIL's BILINEAR resize), rounded to u8; attrs size, channels
extern const OpDef resample;

// ==== ops of imported graphs: any rank up to 8, f32, where said also i32; a truth value is an i32, 0 or 1. Tensors may be empty.

// ---- unary.cpp ----------------------------------------------------------------------------------------------------
// unary(x) -> y = function(x); attr function, of f32: identity neg abs sign floor ceil round (half to even) reciprocal sqrt exp log erf
//   sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh softplus softsign elu leaky_relu selu celu hard_sigmoid hard_swish
//   thresholded_relu clip gelu gelu_tanh mish swish shrink; of i32: identity neg abs sign clip not; f32 to i32: isnan isinf.
//   attrs alpha, beta, gamma (defaults: ONNX's; swish = x sigmoid(alpha x); shrink: alpha = lambd, beta = bias; isinf: alpha = of -infinity,
//   beta = of +infinity), lo, hi (of clip: none)
extern const OpDef unary, unary_grad;

// ---- broadcast.cpp ------------------------------------------------------------------------------------------------
// binary(a, b) -> y, broadcast as numpy does; attr function: add sub mul div pow min max prelu mod (sign of b) fmod (sign of a), of f32 or
//   i32; equal less less_equal greater greater_equal, of f32 or i32, give i32; and or xor of i32.
//   div, pow, mod and fmod of i32 take attr integer = 1: towards zero; 0 where b is 0
// where(condition i32, a, b) -> y: a where the condition is not 0, else b; f32 or i32
extern const OpDef binary, binary_grad, where;

// ---- movement.cpp: f32 or i32 -------------------------------------------------------------------------------------
// transpose(x) -> y: dimension i of y is dimension perm[i] of x; attr perm (the dimensions in reverse)
// expand(x) -> attr shape, to which x broadcasts
// slice(x) -> y[i] = x[starts + i * steps]; attrs starts, sizes, steps (1; may be negative), a number for every dimension
// pad(x) -> y: attrs before, after (0), a number for every dimension; value (0);
//   steps (1): so many places from one element of x to the next
// concat(x...) -> y; attr axis
extern const OpDef transpose, expand, slice, pad, concat;

// ---- reduce.cpp ---------------------------------------------------------------------------------------------------
// reduce(x) -> y; attrs function = sum mean max min prod l1 l2 sum_square log_sum log_sum_exp (i32: sum max min prod l1 sum_square),
//   axes ({}: all), keepdims (1)
// arg_reduce(x) -> i32; attrs function = argmax|argmin, axis (0), keepdims (1), select_last (0: of equal ones the first)
// softmax_axis(x) -> y; attrs axis (-1), log 0|1 (0)
extern const OpDef reduce, arg_reduce, softmax_axis;

// ---- matmul.cpp ---------------------------------------------------------------------------------------------------
// matmul(a [...,m,k], b [...,k,n]) -> [...,m,n], batches broadcast
extern const OpDef matmul;

// ---- gather.cpp ---------------------------------------------------------------------------------------------------
// gather(x, indices i32) -> x with dimension `axis` (0) replaced by those of indices; x f32 or i32. Negative indices count from the end,
//   those out of range take the nearest element.
// one_hot(indices i32) -> f32, with a dimension of attr depth at `axis` (-1: last): attr on (1) where it is the index, else off (0)
// cumsum(x f32) -> like x; attrs axis (0), exclusive (0), reverse (0)
extern const OpDef gather, gather_grad, one_hot, cumsum;

// ---- resize.cpp: f32 ----------------------------------------------------------------------------------------------
// resize(x) -> y, a size for every dimension: attr sizes; scales (of ONNX, sizes / sizes of x), mode = nearest|linear|cubic (nearest),
//   coordinates = half_pixel|pytorch_half_pixel|half_pixel_symmetric|align_corners|asymmetric|tf_crop_and_resize (half_pixel),
//   rounding (of nearest) = round_prefer_floor|round_prefer_ceil|floor|ceil, cubic_a (-0.75), exclude_outside (0),
//   roi (tf_crop_and_resize: starts, then ends, a number for every dimension), value (0: what lies outside of x)
// border(x) -> y, padded by x's own elements: attrs before, after, mode = reflect|edge|wrap
extern const OpDef resize, resize_grad, border, border_grad;

// ==== analyses

// ---- tsne.cpp: points are columns, padded to a multiple of 4: n points of d numbers are [d,N]; attr points = n -----------
// affinities(x [d,N]) -> P [N,N]: joint probabilities of t-SNE, symmetric, 0 on the diagonal and beyond n; attr perplexity
// tsne_forces(y [d,N], symmetric P [N,N], settings [5]) -> [2d+2,N]: rows of attraction (d), repulsion (d), weight and divergence of every point: see
//   shaders/tsne_forces.comp; d = 2 or 3. settings = {exaggeration of P, momentum, learning rate, not 0: nothing was before, not 0: measure the divergence}
// tsne_step(y, change, gain, forces, settings) -> new y, change, gain: gradient descent with momentum and gains
extern const OpDef affinities, tsne_forces, tsne_step;

}  // namespace vkfer::ops
