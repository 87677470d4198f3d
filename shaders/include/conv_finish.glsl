// How the tiled engines of convolution end: where an output row stands, and what is added to it.
//   y[out_row(q), co] = activation( v + bias[co] + residual[out_row(q), co] )
#include "channels.glsl"
#include "activation.glsl"
#include "divide.glsl"
#include "params/conv_tile.h"

layout(constant_id = 1) const bool kDense = false;   // row q of `a` and of y is q: 1x1 with stride 1, or linear
layout(constant_id = 4) const bool kBias = false;
layout(constant_id = 5) const bool kResidual = false;
layout(constant_id = 6) const uint kActivation = 0;

CHANNELS_OUT(2, y);
CHANNELS_IN_F32(3, bias);
CHANNELS_IN(4, residual);
layout(push_constant) uniform Push { ConvTile p; };

// Position and image of sub-problem row q.
uvec2 pixel(uint q, out uint image) {
  uint line = divide(q, p.qw, p.inverse_qw);
  image = divide(line, p.qh, p.inverse_qh);
  return uvec2(q - line * p.qw, line - image * p.qh);
}

void finish(uint q, uint column, vec4 v) {
  uint row = q;
  if (!kDense) {
    uint image;
    uvec2 xy = pixel(q, image);
    row = p.out_first + image * p.out_image + xy.y * p.out_line + xy.x * p.out_pixel;
  }
  if (kBias) v += LOADC_F32(bias, 0u, column, p.out_c);
  if (kResidual) v += LOADC(residual, row, column, p.out_c);
  STOREC(y, row, column, p.out_c, activate(kActivation, v));
}
