// What the tiled engines of forward convolution share: which tile a workgroup computes, and how its invocations fetch the two
// operands of a step, each kStep long along the inner dimension. The includer defines kStep.
//
//   y[q, co] = sum over taps t, channels ci of a[row(q, t), ci] * b[t][ci][co]
//   a [n, in_h, in_w, in_c], b [taps, in_c, out_c]; the inner dimension counts blocks of four channels, tap after tap
//
// Rows and columns past the edge are clamped, their results never stored. Past the end of the inner dimension `a` reads zero.
#include "conv_finish.glsl"

layout(constant_id = 2) const bool kAligned = false;  // in_c is a multiple of kStep: a step lies within one tap, no checks
layout(constant_id = 3) const bool kSplit = false;    // slices of the inner dimension, added by conv_split_sum.comp
layout(constant_id = 7) const uint kTileRows = 64;
layout(constant_id = 8) const uint kTileColumns = 64;

CHANNELS_IN(0, a);
CHANNELS_IN(1, b);
CHANNELS_OUT_F32(2, partial);  // kSplit: in place of y, [slices, rows, out_c]

const uint kStepBlocks = kStep / 4;
const uint kTileBlocks = kTileColumns / 4;
const uint kRowsAtOnce = gl_WorkGroupSize.x / kStepBlocks;   // neighbours fetch neighbouring channels
const uint kInnerAtOnce = gl_WorkGroupSize.x / kTileBlocks;
const uint kLoadsA = kTileRows / kRowsAtOnce;
const uint kLoadsB = kStep / kInnerAtOnce;

uint slice_, first_row_, first_column_;  // column: in blocks of four

void find_tile(uint group) {
  uint line = group / p.column_tiles, row_tiles = (p.rows + kTileRows - 1u) / kTileRows;
  slice_ = line / row_tiles;
  first_row_ = (line - slice_ * row_tiles) * kTileRows;
  first_column_ = (group - line * p.column_tiles) * kTileBlocks;
}

uint first_step() { return slice_ * p.slice_steps; }
uint end_step() {
  uint blocks = p.taps_y * p.taps_x * CHANNEL_BLOCKS(p.in_c);
  return min(first_step() + p.slice_steps, (blocks + kStepBlocks - 1u) / kStepBlocks);
}

// A block of the inner dimension.
struct Inner {
  int shift_y, shift_x;   // of the input pixel
  uint filter_row, channel;
  bool live;
};

Inner find_inner(uint block) {
  uint in_blocks = CHANNEL_BLOCKS(p.in_c);
  Inner i = Inner(0, 0, 0u, block, true);
  if (!kAligned) {
    uint blocks = p.taps_y * p.taps_x * in_blocks;
    i.live = block < blocks;
    i.channel = min(block, blocks - 1u);
  }
  if (kDense) return i;
  uint tap = divide(i.channel, in_blocks, p.inverse_in_blocks), ty = divide(tap, p.taps_x, p.inverse_taps_x), tx = tap - ty * p.taps_x;
  i.channel -= tap * in_blocks;
  i.shift_y = int(ty) * p.step_y;
  i.shift_x = int(tx) * p.step_x;
  i.filter_row = (p.first_tap + ty * p.tap_move_y + tx * p.tap_move_x) * p.in_c;
  return i;
}

uint image_row_[kLoadsA];         // kDense: the row itself
int base_y_[kLoadsA], base_x_[kLoadsA];

void find_rows() {
  [[unroll]] for (uint j = 0; j < kLoadsA; ++j) {
    uint q = min(first_row_ + gl_LocalInvocationID.x / kStepBlocks + j * kRowsAtOnce, p.rows - 1u), image;
    image_row_[j] = q;
    if (kDense) continue;
    uvec2 xy = pixel(q, image);
    base_x_[j] = int(xy.x) * p.mul_x + p.off_x;
    base_y_[j] = int(xy.y) * p.mul_y + p.off_y;
    image_row_[j] = image * p.in_h;
  }
}

// Block gl_LocalInvocationID.x % kStepBlocks of the rows gl_LocalInvocationID.x / kStepBlocks + j * kRowsAtOnce of the tile.
void load_a(uint step_, out vec4 v[kLoadsA]) {
  uint own = gl_LocalInvocationID.x % kStepBlocks;
  Inner i = find_inner(step_ * kStepBlocks + (kAligned ? 0u : own));
  uint channel = i.channel + (kAligned ? own : 0u);
  [[unroll]] for (uint j = 0; j < kLoadsA; ++j) {
    uint row = image_row_[j];
    bool inside = i.live;
    if (!kDense) {
      int iy = base_y_[j] + i.shift_y, ix = base_x_[j] + i.shift_x;
      inside = inside && uint(iy) < p.in_h && uint(ix) < p.in_w;
      row = inside ? (row + uint(iy)) * p.in_w + uint(ix) : 0u;
    }
    v[j] = LOADC(a, row, channel, p.in_c);
    if ((!kDense || !kAligned) && !inside) v[j] = vec4(0.0);
  }
}

// Columns first_column_ + gl_LocalInvocationID.x % kTileBlocks of the inner rows gl_LocalInvocationID.x / kTileBlocks + j * kInnerAtOnce.
void load_b(uint step_, out vec4 v[kLoadsB]) {
  uint column = min(first_column_ + gl_LocalInvocationID.x % kTileBlocks, CHANNEL_BLOCKS(p.out_c) - 1u);
  [[unroll]] for (uint j = 0; j < kLoadsB; ++j) {
    uint k = gl_LocalInvocationID.x / kTileBlocks + j * kInnerAtOnce, row;
    if (kAligned) {
      Inner i = find_inner(step_ * kStepBlocks);
      row = i.filter_row + 4u * i.channel + k;
    } else {
      Inner i = find_inner(step_ * kStepBlocks + k / 4u);
      // `a` is zero past the last channel; the filter row there must only be in bounds.
      row = i.filter_row + min(4u * i.channel + k % 4u, p.in_c - 1u);
    }
    v[j] = LOADC(b, row, column, p.out_c);
  }
}

// Row and column (in blocks of four) within the tile.
void store_tile(uint row, uint column, vec4 v) {
  uint q = first_row_ + row, block = first_column_ + column;
  if (q >= p.rows || block >= CHANNEL_BLOCKS(p.out_c)) return;
  if (kSplit) {
    STOREC_F32(partial, slice_ * p.rows + q, block, p.out_c, v);
  } else {
    finish(q, block, v);
  }
}
