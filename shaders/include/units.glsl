// Tensors [n,h,w,c] seen as units of channels: four where c % 4 == 0, else one (in .x of a vec4).
// Include after common.glsl.
//   constants: 1 units per invocation; 2 whether a unit is four channels
//   UNIT_INPUT(0, x)    storage-typed buffer at binding 0, read by load_x(unit index)
//   UNIT_OUTPUT(1, y)   written by store_y(unit index, vec4)
//   work_item(v)        number of this invocation's v-th work item
layout(constant_id = 1) const uint kItems = 4;
layout(constant_id = 2) const uint kFour = 1;

uint work_item(uint v) { return (linear_group() * kItems + v) * gl_WorkGroupSize.x + gl_LocalInvocationID.x; }

#define UNIT_INPUT(slot, name) \
  layout(set = 0, binding = slot, std430) readonly buffer Vectors_##name { STORE4 name[]; }; \
  layout(set = 0, binding = slot, std430) readonly buffer Scalars_##name { STORE1 name##_scalar[]; }; \
  vec4 load_##name(uint i) { \
    if (kFour != 0) return vec4(name[i]); \
    return vec4(float(name##_scalar[i])); \
  }
#define UNIT_OUTPUT(slot, name) \
  layout(set = 0, binding = slot, std430) writeonly buffer Vectors_##name { STORE4 name[]; }; \
  layout(set = 0, binding = slot, std430) writeonly buffer Scalars_##name { STORE1 name##_scalar[]; }; \
  void store_##name(uint i, vec4 v) { \
    if (kFour != 0) name[i] = STORE4(v); \
    else name##_scalar[i] = STORE1(v.x); \
  }
