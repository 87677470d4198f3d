//! variants: f32 f16
// y[n,oy,ox,c] = max or average of x[n,y,x,c] over the window of (oy,ox). Padding is -infinity to a maximum; to an
// average it is zero, and counts as torch counts it (count_include_pad, ceil_mode).
//   0 x [n,h,w,c], 1 y [n,oh,ow,c]   storage
// An invocation handles kItems units of 4 channels (1 where c % 4 != 0) of y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "units.glsl"
#include "pool.h"
#include "pool_window.glsl"
UNIT_INPUT(0, x)
UNIT_OUTPUT(1, y)

void main() {
  for (uint v = 0; v < kItems; ++v) {
    const uint i = work_item(v);
    if (i >= push.units) return;
    Site at = site_of(i);
    const Window w = window_at(at.y, at.x);
    vec4 result = kAverage != 0 ? vec4(0.0) : vec4(uintBitsToFloat(0xff800000u));
    for (at.y = w.y0; at.y < w.y1; ++at.y)
      for (at.x = w.x0; at.x < w.x1; ++at.x) {
        const vec4 s = load_x(unit_of(at, push.h, push.w));
        if (kAverage != 0) result += s;
        else result = max(result, s);
      }
    store_y(i, kAverage != 0 ? result / w.size : result);
  }
}
