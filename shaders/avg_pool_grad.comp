//! variants: f32 f16
// dx[n,y,x,c] = sum of dy[n,oy,ox,c] / size over the windows (oy,ox) that cover (y,x).
//   0 dy [n,oh,ow,c], 1 dx [n,h,w,c]   storage
// An invocation handles kItems units of 4 channels (1 where c % 4 != 0) of dx.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "units.glsl"
#include "pool.h"
#include "pool_window.glsl"
UNIT_INPUT(0, dy)
UNIT_OUTPUT(1, dx)

void main() {
  for (uint v = 0; v < kItems; ++v) {
    const uint i = work_item(v);
    if (i >= push.units) return;
    const Site at = site_of(i);
    const uvec4 range = covering(at.y, at.x);
    vec4 sum = vec4(0.0);
    Site from = at;
    for (from.y = range.x; from.y < range.y; ++from.y)
      for (from.x = range.z; from.x < range.w; ++from.x)
        sum += load_dy(unit_of(from, push.oh, push.ow)) / window_at(from.y, from.x).size;
    store_dx(i, sum);
  }
}
