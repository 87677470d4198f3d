// Tensors seen as flat rows of elements, four at a time. Include after common.glsl.
//   constants: 1 vec4 per invocation; 2 whether the element count is no multiple of 4
//   FLAT_INPUT(0, x)    storage-typed buffer at binding 0, read by load_x(vec4 index, element count)
//   FLAT_OUTPUT(1, y)   written by store_y(vec4 index, element count, vec4)
//   FLAT_..._F32        the same for f32 buffers whatever the storage type
//   flat_vector(v)      index of the v-th vec4 of this invocation: neighbours in a workgroup are neighbours in memory
// The last, partial vec4 goes element by element through a scalar view; real layers have none and its code folds away.
layout(constant_id = 1) const uint kVectors = 4;
layout(constant_id = 2) const uint kRagged = 0;

uint flat_vector(uint v) { return (linear_group() * kVectors + v) * gl_WorkGroupSize.x + gl_LocalInvocationID.x; }

#define FLAT_INPUT_AS(slot, name, TYPE4, TYPE1) \
  layout(set = 0, binding = slot, std430) readonly buffer Vectors_##name { TYPE4 name[]; }; \
  layout(set = 0, binding = slot, std430) readonly buffer Scalars_##name { TYPE1 name##_scalar[]; }; \
  vec4 load_##name(uint i, uint count) { \
    if (kRagged == 0 || 4 * i + 4 <= count) return vec4(name[i]); \
    vec4 v = vec4(0.0); \
    v.x = float(name##_scalar[4 * i]); \
    if (4 * i + 1 < count) v.y = float(name##_scalar[4 * i + 1]); \
    if (4 * i + 2 < count) v.z = float(name##_scalar[4 * i + 2]); \
    return v; \
  }
#define FLAT_OUTPUT_AS(slot, name, TYPE4, TYPE1) \
  layout(set = 0, binding = slot, std430) writeonly buffer Vectors_##name { TYPE4 name[]; }; \
  layout(set = 0, binding = slot, std430) writeonly buffer Scalars_##name { TYPE1 name##_scalar[]; }; \
  void store_##name(uint i, uint count, vec4 v) { \
    if (kRagged == 0 || 4 * i + 4 <= count) { name[i] = TYPE4(v); return; } \
    name##_scalar[4 * i] = TYPE1(v.x); \
    if (4 * i + 1 < count) name##_scalar[4 * i + 1] = TYPE1(v.y); \
    if (4 * i + 2 < count) name##_scalar[4 * i + 2] = TYPE1(v.z); \
  }
#define FLAT_INPUT(slot, name) FLAT_INPUT_AS(slot, name, STORE4, STORE1)
#define FLAT_OUTPUT(slot, name) FLAT_OUTPUT_AS(slot, name, STORE4, STORE1)
#define FLAT_INPUT_F32(slot, name) FLAT_INPUT_AS(slot, name, vec4, float)
#define FLAT_OUTPUT_F32(slot, name) FLAT_OUTPUT_AS(slot, name, vec4, float)
