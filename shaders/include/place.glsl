// See strided.glsl; include after STRIDED_TABLE.
ivec3 place(uint element, uint rank) {
  ivec3 at = ivec3(0);
  for (uint d = 0; d + 1 < rank; ++d) {
    const uint rest = divide(element, dims[d].size);
    at += int(element - rest * dims[d].size.value) * ivec3(dims[d].a, dims[d].b, dims[d].c);
    element = rest;
  }
  return at + int(element) * ivec3(dims[rank - 1].a, dims[rank - 1].b, dims[rank - 1].c);
}
