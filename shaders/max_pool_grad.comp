//! variants: f32 f16
// dx[n,y,x,c] = sum of dy[n,oy,ox,c] over the windows (oy,ox) whose maximum is x[n,y,x,c]; of equal ones the first in
// reading order, as torch. A gather: the maximum is found again from x, so nothing was stored and nothing is scattered.
//   0 x [n,h,w,c], 1 dy [n,oh,ow,c], 2 dx [n,h,w,c]   storage
// An invocation handles kItems units of 4 channels (1 where c % 4 != 0) of dx.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "units.glsl"
#include "pool.h"
#include "pool_window.glsl"
UNIT_INPUT(0, x)
UNIT_INPUT(1, dy)
UNIT_OUTPUT(2, dx)

// 1 where x at `at`, which is `value`, is the first maximum of the window, else 0.
vec4 wins(Window w, Site at, vec4 value) {
  vec4 result = vec4(1.0);
  Site other = at;
  for (other.y = w.y0; other.y < w.y1; ++other.y)
    for (other.x = w.x0; other.x < w.x1; ++other.x) {
      const vec4 s = load_x(unit_of(other, push.h, push.w));
      const bool before = other.y < at.y || (other.y == at.y && other.x < at.x);
      result *= before ? vec4(lessThan(s, value)) : vec4(lessThanEqual(s, value));
    }
  return result;
}

void main() {
  for (uint v = 0; v < kItems; ++v) {
    const uint i = work_item(v);
    if (i >= push.units) return;
    const Site at = site_of(i);
    const vec4 value = load_x(i);
    const uvec4 range = covering(at.y, at.x);
    vec4 sum = vec4(0.0);
    Site from = at;
    for (from.y = range.x; from.y < range.y; ++from.y)
      for (from.x = range.z; from.x < range.w; ++from.x)
        sum += wins(window_at(from.y, from.x), at, value) * load_dy(unit_of(from, push.oh, push.ow));
    store_dx(i, sum);
  }
}
