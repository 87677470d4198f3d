// See strided.glsl; include after STRIDED_TABLE.
// The table is read before the loop, not first in it: else lavapipe (26.1) carries the number of the descriptor set out of the loop
// in a register that lanes without an element never write, and a subgroup of such lanes takes push constants for descriptors.
ivec3 place(uint element, uint rank) {
  const ivec3 outermost = ivec3(dims[rank - 1].a, dims[rank - 1].b, dims[rank - 1].c);
  ivec3 at = ivec3(0);
  for (uint d = 0; d + 1 < rank; ++d) {
    const uint rest = divide(element, dims[d].size);
    at += int(element - rest * dims[d].size.value) * ivec3(dims[d].a, dims[d].b, dims[d].c);
    element = rest;
  }
  return at + int(element) * outermost;
}
