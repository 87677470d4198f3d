// Windows of a pooling layer: constants and index arithmetic. Include after units.glsl and pool.h.
layout(constant_id = 3) const uint kKernelY = 2;
layout(constant_id = 4) const uint kKernelX = 2;
layout(constant_id = 5) const uint kStrideY = 2;
layout(constant_id = 6) const uint kStrideX = 2;
layout(constant_id = 7) const uint kPadTop = 0;
layout(constant_id = 8) const uint kPadLeft = 0;
layout(constant_id = 9) const uint kAverage = 0;          // 1: average, 0: maximum
layout(constant_id = 10) const uint kCountIncludePad = 1;
layout(constant_id = 11) const uint kAdaptive = 0;        // 1: windows share out all of x, kernel and stride are not used
layout(push_constant) uniform Push { Pool push; };

struct Site { uint image, y, x, channel; };  // which unit of the tensor that is written

Site site_of(uint i) {
  const uint pixel = divide(i, push.by_channels);
  const uint row = divide(pixel, push.by_x);
  const uint image = divide(row, push.by_y);
  return Site(image, row - image * push.by_y.value, pixel - row * push.by_x.value, i - pixel * push.by_channels.value);
}

uint unit_of(Site s, uint height, uint width) {
  return ((s.image * height + s.y) * width + s.x) * push.by_channels.value + s.channel;
}

// The window of output (oy, ox): first and end row and column in x, clipped to x, and what an average divides by.
struct Window { uint y0, y1, x0, x1; float size; };

Window window_at(uint oy, uint ox) {
  if (kAdaptive != 0) {
    Window a = Window(oy * push.h / push.oh, ((oy + 1) * push.h - 1) / push.oh + 1, ox * push.w / push.ow, ((ox + 1) * push.w - 1) / push.ow + 1, 0.0);
    a.size = float((a.y1 - a.y0) * (a.x1 - a.x0));
    return a;
  }
  const int top = int(oy * kStrideY) - int(kPadTop), left = int(ox * kStrideX) - int(kPadLeft);
  Window w;
  w.y0 = uint(max(top, 0));
  w.x0 = uint(max(left, 0));
  w.y1 = uint(min(top + int(kKernelY), int(push.h)));
  w.x1 = uint(min(left + int(kKernelX), int(push.w)));
  const int rows = min(top + int(kKernelY), int(push.end_y)) - top;
  const int columns = min(left + int(kKernelX), int(push.end_x)) - left;
  w.size = kCountIncludePad != 0 ? float(rows * columns) : float((w.y1 - w.y0) * (w.x1 - w.x0));
  return w;
}

// The outputs whose windows cover (y, x): first and end row and column.
uvec4 covering(uint y, uint x) {
  if (kAdaptive != 0)
    return uvec4(y * push.oh / push.h, ((y + 1) * push.oh - 1) / push.h + 1, x * push.ow / push.w, ((x + 1) * push.ow - 1) / push.w + 1);
  const uint below = y + kPadTop, right = x + kPadLeft;
  return uvec4(below < kKernelY ? 0 : (below - kKernelY) / kStrideY + 1, min(below / kStrideY + 1, push.oh),
               right < kKernelX ? 0 : (right - kKernelX) / kStrideX + 1, min(right / kStrideX + 1, push.ow));
}
