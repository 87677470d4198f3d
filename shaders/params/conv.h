// Push constants of the convolution family, read by GLSL and by C++.
#ifdef __cplusplus
#pragma once
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

// One dense sub-problem of a convolution: forward, or one stride phase of the gradient of the input.
//   sub-problem row q = (n, qy, qx);  in = q * mul + off + tap * step;  out = q * out_mul + out_off
struct ConvGemm {
  uint rows, qh, qw;                     // sub-problem rows: images * qh * qw
  float inverse_qh, inverse_qw;
  uint in_h, in_w, in_c;
  uint out_h, out_w, out_c;
  int mul_y, mul_x, off_y, off_x, step_y, step_x;
  uint taps_y, taps_x;                   // taps of this sub-problem
  uint first_tap_y, first_tap_x, tap_step_y, tap_step_x, filter_w;  // filter row r = first + i * step
  uint out_mul_y, out_mul_x, out_off_y, out_off_x;
  uint column_blocks;                    // workgroups = row blocks * column blocks, columns fastest
  uint groups;
  uint pixel;                            // conv_rows.comp with kRuns: channels of `a`, where in_c is the length of a run
};

// x [n, in_h, in_w, c] with a border of zeros before it, and cut or filled behind it: [n, out_h, out_w, c]
struct ConvPad {
  uint lines, out_h, out_line;           // lines = n * out_h; elements of a line
  float inverse_h;
  uint in_h, in_line;
  int pad_y, pad_line;                   // pad_line in elements
};

// Gradient of the filter: rows m = (tap, ci), columns co, sum over output pixels p in slices.
struct ConvGradFilter {
  uint pixels, out_h, out_w;             // images * out_h * out_w
  float inverse_h, inverse_w;
  uint in_h, in_w, in_c, out_c;
  uint filter_w, m;                      // m = taps * in_c
  int stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
  uint row_blocks, column_blocks;
  uint slices, slice_pixels;
  uint first_slice;                      // where this launch's slices stand in `partial`: large batches take several launches
  uint groups;
};

// [rows, c] in slices of rows_per_slice rows; count = slices * channel blocks
struct ChannelSum {
  uint rows, c, rows_per_slice, slices, first_slice, count;
};

// out[i] = sum over s of partial[s][i], in the order of s; slices are `stride` elements apart
struct SumSlices {
  uint count, slices, stride;
};

// out[t][j][i] = in[t][i][j], t < taps; count: invocations
struct Transpose {
  uint taps, rows, columns, count;
};

// The plain convolution and its gradients, one output element an invocation.
struct ConvDirect {
  uint n, in_h, in_w, in_c, out_h, out_w, out_c, filter_h, filter_w;
  int stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
  uint groups;                           // of channels
  uint count;                            // outputs of this launch
  uint slice_lines, first_slice;         // gradient of the filter
};

// Depthwise convolution: `a` is what is gathered from (x, or dy for the gradient of the input), `b` what is written.
struct Depthwise {
  uint n, a_h, a_w, b_h, b_w, c;
  uint tiles_y, tiles_x;
  uint count;                            // tiles = n * tiles_y * tiles_x; where lanes do not share them, times the channel blocks
};

struct DepthwiseGradFilter {
  uint n, in_h, in_w, out_h, out_w, c;
  uint tiles_y, tiles_x, tiles_per_slice;
  uint slices, first_slice;
  uint count;                            // slices * channel blocks
};
#ifdef __cplusplus
}
#endif
