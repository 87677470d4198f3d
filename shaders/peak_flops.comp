#version 450
// The device's limit of multiply-adds, for `vkfer bench ops`: in every invocation four independent chains of
// x = x * factor + term, `turns` times each.      sums: one float an invocation, so that nothing is optimised away
//
// FLOPs: invocations * turns * 4 chains * 4 (vec4) * 2.
layout(local_size_x_id = 0) in;

layout(binding = 0) writeonly buffer Sums { float sums[]; };

layout(push_constant) uniform Push {
  uint turns;
  float factor, term;
};

void main() {
  vec4 x0 = vec4(gl_LocalInvocationIndex), x1 = x0 + 1, x2 = x0 + 2, x3 = x0 + 3;
  const vec4 a = vec4(factor), b = vec4(term);
  for (uint turn = 0; turn < turns; turn += 4) {
    x0 = fma(x0, a, b), x1 = fma(x1, a, b), x2 = fma(x2, a, b), x3 = fma(x3, a, b);
    x0 = fma(x0, a, b), x1 = fma(x1, a, b), x2 = fma(x2, a, b), x3 = fma(x3, a, b);
    x0 = fma(x0, a, b), x1 = fma(x1, a, b), x2 = fma(x2, a, b), x3 = fma(x3, a, b);
    x0 = fma(x0, a, b), x1 = fma(x1, a, b), x2 = fma(x2, a, b), x3 = fma(x3, a, b);
  }
  sums[gl_GlobalInvocationID.x] = dot(x0 + x1 + x2 + x3, vec4(1));
}
