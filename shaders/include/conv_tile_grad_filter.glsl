// What the tiled engines of the filter's gradient share: which tile and slice a workgroup computes, and how its invocations fetch
// the two operands of a step of kStep output pixels. The includer defines kStep.
//
//   partial[slice][m, co] = sum over the output pixels q of the slice of x[pixel(q, tap), ci] * dy[q, co],   m = tap * in_c + ci
//   x [n, in_h, in_w, in_c], dy [n, out_h, out_w, out_c], partial f32 [slices, taps * in_c, out_c]
#include "channels.glsl"
#include "divide.glsl"
#include "params/conv_tile.h"

layout(constant_id = 1) const bool kDense = false;
layout(constant_id = 2) const bool kAligned = false;  // the pixels are a multiple of kStep: no checks along them
layout(constant_id = 7) const uint kTileRows = 64;
layout(constant_id = 8) const uint kTileColumns = 64;

CHANNELS_IN(0, x);
CHANNELS_IN(1, dy);
CHANNELS_OUT_F32(2, partial);
layout(push_constant) uniform Push { ConvTileGradFilter p; };

const uint kRowBlocks = kTileRows / 4, kTileBlocks = kTileColumns / 4;
const uint kPixelsAtOnceX = gl_WorkGroupSize.x / kRowBlocks, kPixelsAtOnceDy = gl_WorkGroupSize.x / kTileBlocks;
const uint kLoadsX = kStep / kPixelsAtOnceX, kLoadsDy = kStep / kPixelsAtOnceDy;
#ifdef SCALAR
const uint kParts = 4;  // four rows m may belong to four taps
#else
const uint kParts = 1;
#endif

uint slice_, first_row_, first_column_;  // rows m; columns in blocks of four

void find_tile(uint group) {
  uint line = group / p.column_tiles;
  slice_ = line / p.row_tiles;
  first_row_ = (line - slice_ * p.row_tiles) * kTileRows;
  first_column_ = (group - line * p.column_tiles) * kTileBlocks;
}

uint first_pixel() { return slice_ * p.slice_pixels; }
uint end_pixel() { return min(first_pixel() + p.slice_pixels, p.pixels); }

// Where this invocation's rows look, the same at every step.
int shift_y_[kParts], shift_x_[kParts];
uint channel_[kParts];

void find_rows() {
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    uint m = min(first_row_ + gl_LocalInvocationID.x % kRowBlocks * 4u + j, p.m - 1u), tap = m / p.in_c, r = tap / p.filter_w;
    channel_[j] = m - tap * p.in_c;
    shift_y_[j] = int(r) * p.dilation_y - p.pad_y;
    shift_x_[j] = int(tap - r * p.filter_w) * p.dilation_x - p.pad_x;
  }
}

// Rows of block gl_LocalInvocationID.x % kRowBlocks at the pixels first + gl_LocalInvocationID.x / kRowBlocks + j * kPixelsAtOnceX.
void load_x(uint first, uint end, out vec4 v[kLoadsX]) {
  [[unroll]] for (uint j = 0; j < kLoadsX; ++j) {
    uint q = first + gl_LocalInvocationID.x / kRowBlocks + j * kPixelsAtOnceX;
    bool live = kAligned || q < end;
    if (!kAligned) q = min(q, end - 1u);
    uint in_y = 0, in_x = 0, image = 0;
    if (!kDense) {
      uint line = divide(q, p.out_w, p.inverse_w);
      image = divide(line, p.out_h, p.inverse_h);
      in_x = (q - line * p.out_w) * uint(p.stride_x);
      in_y = (line - image * p.out_h) * uint(p.stride_y);
    }
    [[unroll]] for (uint part = 0; part < kParts; ++part) {
      uint row = q;
      bool inside = live;
      if (!kDense) {
        int iy = int(in_y) + shift_y_[part], ix = int(in_x) + shift_x_[part];
        inside = inside && uint(iy) < p.in_h && uint(ix) < p.in_w;
        row = inside ? (image * p.in_h + uint(iy)) * p.in_w + uint(ix) : 0u;
      }
#ifdef SCALAR
      v[j][part] = inside ? float(x[row * p.in_c + channel_[part]]) : 0.0;
#else
      v[j] = LOADC(x, row, channel_[0] / 4u, p.in_c);
      if ((!kDense || !kAligned) && !inside) v[j] = vec4(0.0);
#endif
    }
  }
}

// Columns of block gl_LocalInvocationID.x % kTileBlocks; past the last pixel x is zero and dy must only be in bounds.
void load_dy(uint first, uint end, out vec4 v[kLoadsDy]) {
  uint column = min(first_column_ + gl_LocalInvocationID.x % kTileBlocks, CHANNEL_BLOCKS(p.out_c) - 1u);
  [[unroll]] for (uint j = 0; j < kLoadsDy; ++j) {
    uint q = first + gl_LocalInvocationID.x / kTileBlocks + j * kPixelsAtOnceDy;
    v[j] = LOADC(dy, kAligned ? q : min(q, end - 1u), column, p.out_c);
  }
}

void store_tile(uint row, uint column, vec4 v) {
  uint m = first_row_ + row, block = first_column_ + column;
  if (m < p.m && block < CHANNEL_BLOCKS(p.out_c)) STOREC_F32(partial, (p.first_slice + slice_) * p.m + m, block, p.out_c, v);
}
