// Sum over a workgroup in a fixed tree: the same bits on every run. The workgroup size must be a power of two.
shared vec2 workgroup_partial[gl_WorkGroupSize.x];

vec2 workgroup_sum(vec2 mine) {
  const uint i = gl_LocalInvocationID.x;
  workgroup_partial[i] = mine;
  for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
    barrier();
    if (i < half_size) workgroup_partial[i] += workgroup_partial[i + half_size];
  }
  barrier();
  return workgroup_partial[0];
}
