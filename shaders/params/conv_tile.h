// Push constants of the tiled engines of convolution (shared, coopmat), read by GLSL and by C++.
#ifndef VKFER_PARAMS_CONV_TILE_H
#define VKFER_PARAMS_CONV_TILE_H
#ifdef __cplusplus
#include <cstdint>
namespace vkfer::params {
using uint = uint32_t;
#endif

// One dense sub-problem of a convolution: forward, or one stride phase of the gradient of the input.
//   sub-problem row q = (n, qy, qx);  in = q * mul + off + tap * step;  out row = first + n * image + qy * line + qx * pixel
struct ConvTile {
  uint rows, qh, qw;                     // rows = images * qh * qw
  float inverse_qh, inverse_qw;
  uint in_h, in_w, in_c;
  float inverse_in_blocks;               // of the blocks of four channels
  uint out_c;
  int mul_y, mul_x, off_y, off_x, step_y, step_x;
  uint taps_y, taps_x;                   // taps of this sub-problem
  float inverse_taps_x;
  uint first_tap, tap_move_y, tap_move_x;  // tap of the filter = first_tap + ty * move_y + tx * move_x
  uint out_first, out_image, out_line, out_pixel;
  uint slices, slice_steps;              // the inner dimension goes in slices of so many steps
  uint column_tiles, groups;             // workgroups = slices * row tiles * column tiles, columns fastest
};

// Gradient of the filter: rows m = (tap, ci), columns co, sum over output pixels in slices.
struct ConvTileGradFilter {
  uint pixels, out_h, out_w;             // pixels = images * out_h * out_w
  float inverse_h, inverse_w;
  uint in_h, in_w, in_c, out_c;
  uint filter_w, m;                      // m = taps * in_c
  int stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
  uint row_tiles, column_tiles;
  uint slice_pixels;                     // a multiple of the step
  uint first_slice;                      // where this launch's slices stand in `partial`: large batches take several launches
  uint groups;
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
