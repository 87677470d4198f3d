// Many tensors in one buffer, worked on by one launch. Include after common.glsl and pack.h; the push constants are `Pack push`.
//   constants: 1 vec4 per invocation; 2 whether the element count of some range is no multiple of 4
//   PACK_RANGES(5)        the table of ranges at binding 5, and pack_range(workgroup)
//   PACK_INPUT(0, x)      f32 buffer at binding 0, read by load_x(vec4 index, elements left from there)
//   PACK_IN_PLACE(1, y)   read by load_y(...) and written by store_y(..., vec4)
// A workgroup works on one range, an invocation on kVectors vec4 of it:
//   const PackRange range = pack_range(group);
//   for each v < kVectors: i = pack_vector(range, group, v); if (4 * i >= range.count) return;
//   load_x(range.first_vector + i, range.count - 4 * i)
layout(constant_id = 1) const uint kVectors = 4;
layout(constant_id = 2) const uint kRagged = 0;

// pack_range: the last range that begins at or before the workgroup.
#define PACK_RANGES(slot) \
  layout(set = 0, binding = slot, std430) readonly buffer Ranges { PackRange ranges[]; }; \
  PackRange pack_range(uint group) { \
    uint low = 0, high = push.ranges; \
    while (low + 1 < high) { \
      const uint middle = (low + high) / 2; \
      if (ranges[middle].first_group <= group) low = middle; \
      else high = middle; \
    } \
    return ranges[low]; \
  }

uint pack_vector(PackRange range, uint group, uint v) {
  return ((group - range.first_group) * kVectors + v) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

#define PACK_BUFFER(slot, name, access) \
  layout(set = 0, binding = slot, std430) access buffer Vectors_##name { vec4 name[]; }; \
  layout(set = 0, binding = slot, std430) access buffer Scalars_##name { float name##_scalar[]; }; \
  vec4 load_##name(uint i, uint left) { \
    if (kRagged == 0 || left >= 4) return name[i]; \
    vec4 value = vec4(0.0); \
    value.x = name##_scalar[4 * i]; \
    if (left > 1) value.y = name##_scalar[4 * i + 1]; \
    if (left > 2) value.z = name##_scalar[4 * i + 2]; \
    return value; \
  }
#define PACK_INPUT(slot, name) PACK_BUFFER(slot, name, readonly)
#define PACK_IN_PLACE(slot, name) \
  PACK_BUFFER(slot, name, ) \
  void store_##name(uint i, uint left, vec4 value) { \
    if (kRagged == 0 || left >= 4) { name[i] = value; return; } \
    name##_scalar[4 * i] = value.x; \
    if (left > 1) name##_scalar[4 * i + 1] = value.y; \
    if (left > 2) name##_scalar[4 * i + 2] = value.z; \
  }
