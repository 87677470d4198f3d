// Philox4x32-10, a counter-based random number generator: the same counter and key give the same four words everywhere.
// Salmon, Moraes, Dror, Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, 2011.
uvec4 philox(uvec4 counter, uvec2 key) {
  [[unroll]] for (int round = 0; round < 10; ++round) {
    uint high0, low0, high1, low1;
    umulExtended(0xD2511F53u, counter.x, high0, low0);
    umulExtended(0xCD9E8D57u, counter.z, high1, low1);
    counter = uvec4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
    key += uvec2(0x9E3779B9u, 0xBB67AE85u);
  }
  return counter;
}

// Uniform in [0,1), exact in f32: 24 bits of each word.
vec4 philox_uniform(uvec4 counter, uvec2 key) { return vec4(philox(counter, key) >> 8) * (1.0 / 16777216.0); }
