// Tests for numbers that are not finite. On the bits: compilers that assume finite arithmetic fold isinf and isnan away.
bool is_finite(float x) { return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u; }

// `now`, but `old` where `now` is not finite.
float finite_or(float now, float old) { return is_finite(now) ? now : old; }
vec4 finite_or(vec4 now, vec4 old) { return mix(old, now, notEqual(floatBitsToUint(now) & 0x7f800000u, uvec4(0x7f800000u))); }
